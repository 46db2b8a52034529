"""Verification of models: equal digests in every way of computing, and planted faults."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from int8ref import verify
from int8ref.errors import UserError
from int8ref.files import embedded
from int8ref.files import models as known
from int8ref.files.container import file_hash as plain_hash
from int8ref.files.digests import DIGESTS
from int8ref.files.model_file import Model, load, model_hash, save
from int8ref.kernels.gemm.target import TARGET
from int8ref.program.inputs import Observer
from int8ref.verification import models
from int8ref.verification.difference import DifferenceError
from int8ref.verification.engines import WORKS, Compared, Work, searches, whole
from int8ref.verification.instruction_sets import FEATURES, others
from int8ref.verification.models import Job, verify_model
from int8ref.verification.sentences import TEXTS, requests_of
from tests.helpers.encoders import build_encoder
from tests.helpers.machine_text import machine_text
from tests.helpers.many_languages import speaking
from tests.helpers.models import build_tiny_model
from tests.helpers.processes import Command, run

MODELS: dict[str, Model] = {
    "recurrent": build_tiny_model(2),
    "translation": build_tiny_model(6, "translation"),
    "rotary": build_tiny_model(9, "rotary"),
    "embedding": build_encoder(),
    "labels": build_encoder("labels"),
}
SHORT = ["Yes.", "The cat sat on the mat.", "", "a b c d e f g h"]
NONE = (None, None)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    machine_text()


class Silent:
    """A console that tells nothing."""

    level = 40

    def info(self, message: str) -> None:
        """Tell nothing."""


@pytest.mark.parametrize("name", MODELS)
def test_every_way_gives_the_same_digests(name: str) -> None:
    model = MODELS[name]
    requests = requests_of(model, SHORT, NONE)
    wanted = Compared(model, requests, "reference").digests(Work(2, 1))
    assert len(set(wanted)) == len(requests) == 3
    compiled = Compared(model, requests, "compiled")
    for work in WORKS:
        assert compiled.digests(work) == wanted
    assert whole(wanted) != whole(wanted[::-1])


class Faulty:
    """An engine with a fault in one element of one value."""

    def __init__(self, engine: Any, name: str, step: int, row: int, column: int) -> None:
        self._engine, self.program = engine, engine.program
        self._fault = name, step, row, column

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def session(self, batch: Any, observe: Observer | None = None) -> Any:
        wrong, step, row, column = self._fault
        count = -1

        def spoiled(name: str, value: Any) -> None:
            nonlocal count
            count += name == wrong
            if name == wrong and count == step and row < len(value):
                value = value.copy()
                value[row, column] ^= 1
            if observe is not None:
                observe(name, value)

        return self._engine.session(batch, spoiled)


@pytest.mark.parametrize(
    ("sequence", "step", "place"),
    [
        ("encoder", 0, "encoder, row 0, column 3"),
        ("decoder", 0, "decoder step 0, row 0, column 3"),
        ("decoder", 1, "decoder step 1, row 0, column 3"),
    ],
)
def test_a_fault_is_located(sequence: str, step: int, place: str) -> None:
    model = MODELS["translation"]
    linear = [i for i in getattr(model.program, sequence) if i.op == "linear"]
    name = linear[1].names("result")[0]
    requests = requests_of(model, SHORT, NONE)
    golden = Compared(model, requests, "reference")
    other = Compared(model, requests, "compiled")
    other.engine = Faulty(other.engine, name, step, 0, 3)
    work = Work(2, 1)
    pairs = zip(golden.digests(work), other.digests(work), strict=True)
    wrong = [at for at, (one, two) in enumerate(pairs) if one != two]
    assert wrong == [0, 2]  # the first sentence of each batch
    told = other.locate(golden, work, 2)
    assert f"linear {name!r}, sentence 2, {place}: got " in told


def test_a_fault_of_a_search_is_located(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS["translation"]
    requests = requests_of(model, SHORT, NONE)
    golden = Compared(model, requests, "reference")
    other = Compared(model, requests, "compiled")
    right = other.engine.sample
    monkeypatch.setattr(other.engine, "sample", lambda *rest: [ids[1:] for ids in right(*rest)])
    assert golden.digests(Work(3, 1)) != other.digests(Work(3, 1))
    assert "sampling of sentence " in other.locate(golden, Work(3, 1), 0)
    assert set(searches(golden.engine, requests)[0]) == {
        "greedy search", "beam search", "sampling", "scores",
    }  # fmt: skip


def verified(
    model: Model, path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str] | None
) -> list[str]:
    """Verify with the instruction set of this process, and with a child that has the same."""
    save(path, model)
    monkeypatch.setattr(models, "_others", lambda: {"child": {}})
    console: Any = Silent()
    return list(verify_model(path, model, texts, NONE, console))


def test_a_model_is_verified_here_and_in_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.safetensors"
    lines = verified(MODELS["rotary"], path, monkeypatch, SHORT)
    assert [line.split(":")[0] for line in lines] == [
        "reference", *[f"compiled, {TARGET.name}"] * 2, "digest",
    ]  # fmt: skip
    requests = requests_of(MODELS["rotary"], SHORT, NONE)
    digests = Compared(MODELS["rotary"], requests, "reference").digests(Work(1, 1))
    assert lines[-1] == f"digest: {whole(digests)}"


def test_a_child_finds_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The expected digest is wrong, so that the engines are equal when they are compared."""
    path, model = tmp_path / "m.safetensors", MODELS["rotary"]
    save(path, model)
    expected = Compared(model, requests_of(model, SHORT, NONE), "reference").digests(Work(1, 1))
    expected[1] = "0" * 64
    job = Job(str(path), model_hash(path), SHORT, NONE, expected, "error")
    answer = models._elsewhere("child", job, {})
    assert answer.name == TARGET.name
    assert answer.difference is not None
    assert "the difference occurs only sometimes" in answer.difference
    (tmp_path / "m.safetensors").write_bytes(b"another file")
    with pytest.raises(UserError, match="child: the process that verifies it ended with"):
        models._elsewhere("child", job, {})


def test_a_stored_digest_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, model = tmp_path / "m.safetensors", MODELS["embedding"]
    save(path, model)
    monkeypatch.setitem(DIGESTS, model_hash(path), "0" * 64)
    assert "stored digest: equal" not in verified(model, path, monkeypatch, SHORT)
    with pytest.raises(DifferenceError, match="and 000"):
        verified(model, path, monkeypatch, None)
    digest = verified(model, path, monkeypatch, SHORT)[-1].removeprefix("digest: ")
    requests = requests_of(model, TEXTS, NONE)
    right = whole(Compared(model, requests, "reference").digests(Work(1, 1)))
    assert right != digest
    monkeypatch.setitem(DIGESTS, model_hash(path), right)
    assert "stored digest: equal" in verified(model, path, monkeypatch, None)


def test_every_model_with_a_name_has_a_digest() -> None:
    hashes = [model.sha256 for model in known.MODELS.values()]
    hashes += [plain_hash(path) for name in embedded.names() if (path := embedded.path(name))]
    assert set(DIGESTS) == set(hashes)


def test_the_digest_of_the_model_of_the_package() -> None:
    """The stored digest is the digest of the compiled engine, here."""
    (name,) = embedded.names()
    path = embedded.path(name)
    assert path is not None
    model = load(path)
    compiled = Compared(model, requests_of(model, TEXTS, NONE), "compiled")
    assert whole(compiled.digests(Work(8, 1))) == DIGESTS[model.sha256]


def test_requests() -> None:
    """Long texts are cut, and texts without tokens are left out."""
    long = "word " * 500
    for name, model in MODELS.items():
        found = requests_of(model, ["", long, "a"], NONE)
        assert [request.number for request in found] == [0, 1], name
    with pytest.raises(UserError, match="the text has no tokens"):
        requests_of(MODELS["rotary"], ["", " "], NONE)
    many = speaking()
    first, second = (requests_of(many, ["a"], ("eng_Latn", x))[0] for x in ("por_Latn", "zho_Hans"))
    assert (first.ids, first.prefix) != (second.ids, second.prefix)


def test_the_instruction_sets_of_this_cpu() -> None:
    found = others(TARGET)
    assert TARGET.name not in found
    assert set(found) <= set(FEATURES)
    for settings in found.values():
        assert settings["NUMBA_CPU_NAME"] == "generic"


def test_no_file_and_no_model(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    with pytest.raises(SystemExit) as raised:
        verify.main(["--against-input", "x", "-m", "y"])
    assert raised.value.code == 2
    with pytest.raises(SystemExit):
        verify.main(["file", "--text", "x"])
    assert "does nothing" in capfd.readouterr().err


@pytest.mark.slow
def test_every_instruction_set(tmp_path: Path) -> None:
    save(tmp_path / "m.safetensors", MODELS["translation"])
    command: Command = [sys.executable, "-m", "int8ref.verify", "-m", tmp_path / "m.safetensors"]
    status, out, _ = run(command)
    assert status == 0
    names = [line.split(":")[0] for line in out.decode().splitlines()]
    assert names == [
        "reference",
        *(f"compiled, {name}" for name in [TARGET.name, *others(TARGET)]),
        "digest",
    ]


def test_numbers_of_all_kinds_take_part() -> None:
    """The text has long and short sentences, and characters that a vocabulary lacks."""
    lengths = {len(request.ids) for request in requests_of(MODELS["translation"], TEXTS, NONE)}
    assert len(lengths) >= 5
    assert np.array([len(text) for text in TEXTS]).max() > 100
