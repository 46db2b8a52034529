"""The audit of a model: proofs against runs of random Programs, the document, the page."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from int8ref.auditing import costs
from int8ref.auditing.audit import audit
from int8ref.auditing.document import Audit, Machine, encode, schema
from int8ref.auditing.intervals import Interval, bits
from int8ref.auditing.page import page
from int8ref.auditing.proofs import Proved, proofs
from int8ref.auditing.text import text
from int8ref.engines import reference
from int8ref.engines.reference import ReferenceEngine
from int8ref.machine.toolchain import assembly
from int8ref.program.validate import validate
from int8ref.reference import instructions
from int8ref.spec.scope import ValueType
from int8ref.spec.trace import tracing
from tests.fuzz.random_programs import RandomProgram, UnfinishedError
from tests.helpers.models import build_tiny_model
from tests.helpers.processes import run

STORED = Path(__file__).parents[1] / "docs" / "audit.schema.json"
MODEL = build_tiny_model(2)
LINES = ["a b", "c"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def found() -> Audit:
    """The audit of a tiny model with a text, and an instruction that is not there."""
    machine = Machine(processor="x", code_sha256="0" * 64, instructions=9, floating=["addps"])
    return audit(MODEL, "0" * 64, LINES, "reference", machine=machine)


# Proofs.


def test_every_operation_has_a_proof() -> None:
    assert set(proofs()) == set(instructions())


class _Checked:
    """Runs instructions with a trace, and lists what is outside its proved range."""

    def __init__(self, made: RandomProgram) -> None:
        self.program, self.tensors = made.program, made.tensors
        proved = Proved(made.program, made.tensors, validate(made.program, made.tensors))
        self._values, self.problems = proved.values, list[str]()
        self.names: set[str] = set()
        sequences = {
            "encoder": made.program.encoder,
            "decoder": made.program.decoder,
            "search": [made.program.softmax] if made.program.logits else [],
        }
        self._registers = {
            id(instruction): registers
            for name, sequence in sequences.items()
            for instruction, registers in zip(sequence, proved.registers.get(name, []), strict=True)
        }
        self._run = reference.run_instruction

    def run(self, instruction: Any, values: Any, tensors: Any) -> Any:
        """See `run_instruction`."""
        with tracing() as trace:
            results = self._run(instruction, values, tensors)
        registers = self._registers[id(instruction)]
        for name, array in trace.arrays().items():
            self.names.add(f"{instruction.op}.{name}")
            low, high = registers[name].ends if name in registers else (1, 0)
            self._check(f"{instruction.op}.{name}", array, min(low, 0), max(high, 0))
        for name, array in results.items():
            proved = self._values[name]
            self._check(f"result of {instruction.op}", array, proved.low, proved.high)
        return results

    def _check(self, what: str, array: Any, low: Any, high: Any) -> None:
        if array.size and ((array < low).any() or (array > high).any()):
            self.problems.append(f"{what}: {array.min()} to {array.max()} of {low} to {high}")


def _random(seeds: range, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Run random Programs; return the names of all registers.  A register outside its range
    fails."""
    names: set[str] = set()
    for seed in seeds:
        try:
            made = RandomProgram(seed)
        except UnfinishedError:
            continue
        checked, random = _Checked(made), np.random.default_rng(seed)
        monkeypatch.setattr(reference, "run_instruction", checked.run)
        program, most = made.program, made.program.max_source_length - made.program.frame.size
        rows = random.integers(0, max(made.source_vocabulary, 1), (2, max(most, 0))).tolist()
        batch = [program.frame.around(ids) for ids in rows] if most > 0 else [[], []]
        session = ReferenceEngine(program, made.tensors).session(batch)
        for _ in range(0 if program.encodes else 4):
            ids = random.integers(-1, made.vocabulary, 2).astype(np.int32)
            logits = session.step(ids)
            checked.run(program.softmax, {program.logits: logits}, made.tensors)
        monkeypatch.undo()
        assert checked.problems == [], f"seed {seed}"
        names |= checked.names
    return names


def test_no_random_program_leaves_its_proved_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    names = _random(range(30), monkeypatch)
    assert {"linear.acc", "match_add.total", "layer_norm_l2.v", "log_softmax.sum"} <= names


@pytest.mark.slow
def test_no_random_program_of_many_leaves_its_proved_ranges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert len(_random(range(2000), monkeypatch)) > 80


def test_a_range_that_is_too_narrow_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Interval, "shifted", lambda self, bits: Interval.of(0))
    with pytest.raises(AssertionError, match="seed"):
        _random(range(5), pytest.MonkeyPatch())


def test_accumulators_have_inputs_that_reach_their_ends() -> None:
    """The bound of `linear` is exact: some row of x gives each end."""
    random = np.random.default_rng(7)
    weight = random.integers(-128, 128, (5, 9)).astype(np.int8)
    bias = random.integers(-99, 99, 5).astype(np.int16)
    low, high = -127, 127
    ends = [np.where(weight > 0, a, b) for a, b in ((low, high), (high, low))]
    wanted = [(weight.astype(int) * x).sum(axis=1) + bias.astype(int) * 4 for x in ends]
    from int8ref.auditing.given import Given
    from int8ref.auditing.products import linear
    from int8ref.reference.linear import Linear

    instruction = Linear(x="x", weight="w", bias="b", out="out", bias_shift=2)
    types = {"x": ValueType("target", "int8", 9), "out": ValueType("target", "int32", 5)}
    given = Given(instruction, {"x": Interval.of(low, high)}, types, {"w": weight, "b": bias}, 1)
    found = linear(given)["out"]
    assert found.low.tolist() == wanted[0].tolist()
    assert found.high.tolist() == wanted[1].tolist()


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(0, 0, 1), (0, 1, 1), (0, 255, 8), (0, 256, 9), (-1, 0, 1), (-128, 127, 8), (-129, 0, 9),
     (-1, 128, 9), (-(2**31), 2**31 - 1, 32), (5, 6, 3)],
)  # fmt: skip
def test_bits(low: int, high: int, wanted: int) -> None:
    assert bits(low, high) == wanted


# Costs.


def test_costs_of_a_product() -> None:
    from int8ref.reference.linear import Linear

    types = {"x": ValueType("target", "int8", 9), "out": ValueType("target", "int8", 5)}
    plain = Linear(x="x", weight="w", bias="b", out="out")
    assert costs.multiplications(plain, types) == (45, 0)
    scaled = Linear(x="x", weight="w", bias="b", out="out", multiplier="m", shift="s")
    assert costs.multiplications(scaled, types) == (50, 0)
    assert costs.row_bytes(["out", "x"], types) == 14


def test_a_shared_tensor_counts_once() -> None:
    tensors = {"a": np.zeros(5, np.int16), "b": np.zeros((2, 3), np.int8)}
    assert costs.weight_bytes(["a", "b", "a"], tensors) == 16


# The document.


def test_the_stored_schema_is_that_of_the_document() -> None:
    assert STORED.read_bytes() == schema(), "python -m tests.helpers.audit_schema writes it"


def test_the_document(found: Audit) -> None:
    program = MODEL.program
    assert msgspec.json.decode(encode(found), type=Audit) == found
    assert len(found.instructions) == len(program.encoder) + len(program.decoder) + 1
    assert found.tensor_bytes == sum(t.nbytes for t in MODEL.tensors.values())
    for row in found.instructions:
        assert row.rows, "the text reaches every instruction"
        for register in row.registers:
            if register.seen is not None:
                assert register.low <= register.seen[0] <= register.seen[1] <= register.high
                assert register.seen_bits is not None
                assert register.seen_bits <= register.bits
        for value in row.results:
            if value.elements:
                assert value.at_low is not None
                assert value.at_high is not None
                assert value.at_low + value.at_high <= 10**6


def test_without_a_text_there_are_only_proofs() -> None:
    found = audit(MODEL, "0" * 64)
    assert found.text_lines is None
    assert all(r.seen is None for row in found.instructions for r in row.registers)
    assert b"seen" not in text(found)


# The forms.


class _Page(HTMLParser):
    """Lists the elements and the addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for name, v in attrs if name in ("src", "href", "srcset")]


def test_the_page_needs_nothing_else(found: Audit) -> None:
    content = page(found).decode()
    parsed = _Page()
    parsed.feed(content)
    assert all(address.startswith("#") for address in parsed.addresses)
    assert not {"link", "img", "iframe", "object"} & {*parsed.tags}
    assert "url(" not in content
    assert "default-src 'none'" in content
    assert "prefers-color-scheme: dark" in content


def test_names_from_a_file_are_escaped() -> None:
    hostile = replace(MODEL, name="<script>alert(1)</script>\x1b[2J")
    found = audit(hostile, "0" * 64)
    assert b"<script>alert" not in page(found)
    assert b"\x1b" not in page(found)
    assert b"\x1b" not in text(found)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is absent")
def test_the_page_in_a_browser(found: Audit, tmp_path: Path) -> None:
    """The script runs without an error, and sorts by the value of a number."""
    probe = """<script>
    const errors = []; addEventListener("error", (event) => errors.push(event.message));
    addEventListener("load", () => {
      const table = document.querySelector("#bits-of-registers table");
      const head = Array.from(table.tHead.rows[0].cells).findIndex((c) => c.textContent === "bits");
      const read = () => Array.from(table.tBodies[0].rows, (r) => +r.cells[head].dataset.value);
      table.tHead.rows[0].cells[head].click(); const down = read();
      table.tHead.rows[0].cells[head].click(); const up = read();
      document.title = JSON.stringify({ errors, down, up });
    });</script>"""
    file = tmp_path / "audit.html"
    file.write_bytes(page(found).replace(b"<body>", b"<body>" + probe.encode()))
    told = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
         f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()],
        capture_output=True, text=True, timeout=600, check=True,
    ).stdout  # fmt: skip
    title = told.split("<title>")[1].split("</title>")[0]
    seen = json.loads(title)
    assert seen["errors"] == []
    assert len(seen["down"]) > 20
    assert seen["down"] == sorted(seen["down"], reverse=True)
    assert seen["up"] == sorted(seen["up"])


# Native code.


def test_floating_point_instructions_are_found() -> None:
    listing = "f:\n\tmovups\t(%rdi), %xmm0\n\taddps\t%xmm0, %xmm1\n\tretq\n"
    assert assembly.count(listing) == 3
    assert assembly.floating(listing) == ["addps"]


# The command.


def command(*arguments: str | Path, stdin: bytes = b"") -> tuple[int, bytes, str]:
    """Run the command."""
    return run([sys.executable, "-m", "int8ref.audit", *arguments], stdin)


def test_the_command(tiny_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "audit.json"
    status, out, err = command(
        "-m", tiny_file, "--text", "-", "--format", "json", "-o", output, stdin=b"a b\n\nc\n"
    )
    assert (status, out) == (0, b""), err
    found = msgspec.json.decode(output.read_bytes(), type=Audit)
    assert found.text_lines == 2
    status, out, err = command("-m", tiny_file)
    assert status == 0, err
    assert out.startswith(b"model ")
    assert b"linear" in out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--text", "blank"], 1, "no line that is not blank"),
        (["--text", "absent"], 1, "absent"),
        (["--source-language", "en"], 2, "does nothing without --text"),
        (["--format", "pdf"], 2, "invalid choice"),
        (["-o", "tiny.safetensors"], 1, "the output is the model file"),
    ],
)
def test_what_is_refused(
    arguments: list[str], status: int, message: str, tiny_file: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    model = shutil.copy(tiny_file, tmp_path / "tiny.safetensors")
    before = Path(model).read_bytes()
    (tmp_path / "blank").write_text("\n  \n")
    found, out, err = command("-m", "tiny.safetensors", *arguments)
    assert (found, out) == (status, b"")
    assert message in err
    assert "Traceback" not in err
    assert Path(model).read_bytes() == before
