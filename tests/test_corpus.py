"""Large inputs: runs that go on, shards, folders, compressed files, tables, JSON lines."""

from __future__ import annotations

import gzip
import io
import json
import logging
import lzma
import os
from argparse import ArgumentTypeError
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref import embed, generate, score, translate, verify
from int8ref.commands.forms import Columns, Documents
from int8ref.commands.progress import duration
from int8ref.commands.resume import END, kept, measure
from int8ref.commands.spans import of_shard, shard
from int8ref.errors import UserError
from int8ref.files.model_file import save
from int8ref.text import compressed, parts
from int8ref.text.lines import TextError
from tests.helpers.encoders import build_encoder
from tests.helpers.models import SENTENCES, build_tiny_model

LOG = logging.getLogger("int8ref")
LINES = [*SENTENCES, "", "a cat", "the dog", "a", "red fish"]
FORMS = {
    "text": [],
    "nbest": ["--beam-size", "3", "--n-best", "3"],
    "json": ["--output-format", "json"],
    "sampled": ["--temperature", "0.8", "--seed", "7"],
    "lists": ["--temperature", "0.8", "--n-best", "2"],
}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Restore the logger."""
    before = LOG.handlers, LOG.propagate, LOG.level
    yield
    LOG.handlers, LOG.propagate = before[:2]
    LOG.setLevel(before[2])


class Runs:
    """Runs `translate` in this process, with the tiny model."""

    def __init__(self, model: Path, folder: Path) -> None:
        self.folder, self.source = folder, folder / "in.txt"
        self._usual = ["-m", str(model), "--backend", "compiled", "--quiet"]
        self.source.write_text("".join(f"{line}\n" for line in LINES))

    def status(self, *options: str, source: Path | None = None, output: str = "out") -> int:
        """Return the exit status of a run."""
        files = ["-i", str(source or self.source), "-o", str(self.folder / output)]
        return translate.main([*self._usual, *files, *options])

    def __call__(self, *options: str, source: Path | None = None, output: str = "out") -> bytes:
        """Return the output of a run."""
        assert self.status(*options, source=source, output=output) == 0
        return (self.folder / output).read_bytes()


@pytest.fixture
def run(tiny_file: Path, tmp_path: Path) -> Runs:
    return Runs(tiny_file, tmp_path)


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_goes_on_after_any_byte(run: Runs, options: list[str]) -> None:
    whole = run(*options, output="whole")
    out = run.folder / "out"
    assert run(*options, "--resume") == whole
    for size in (1, len(whole) // 2 + 1, len(whole) - 1):
        out.write_bytes(whole[:size])
        assert run(*options, "--resume") == whole
    out.write_bytes(whole[: len(whole) // 2] + bytes(64))  # after a failure of power
    assert run(*options, "--resume") == whole


@pytest.mark.parametrize(("end", "form"), [(".gz", "text"), (".xz", "lists"), (".zst", "text")])
def test_compressed_outputs_go_on(
    run: Runs, end: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if end == ".zst":
        pytest.importorskip("backports.zstd")
    monkeypatch.setattr(parts, "PART_BYTES", 100)
    name, plain = f"out{end}", run(*FORMS[form], output="plain")
    whole = run(*FORMS[form], "--resume", output=name)
    with compressed.opened(open_file(run.folder / name), name) as file:
        assert file.read() == plain
    for size in (len(whole) // 2, len(whole) - 1):
        (run.folder / name).write_bytes(whole[:size])
        assert run(*FORMS[form], "--resume", output=name) == whole


def open_file(path: Path) -> io.BufferedReader:
    return io.BufferedReader(io.FileIO(path))


def test_refuses_another_run(run: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*options: str) -> str:
        assert run.status("--resume", *options) == 1
        assert (run.folder / "out").read_bytes() == whole
        return capsys.readouterr().err

    whole = run()
    assert "there is no" in refused()
    (run.folder / "out").unlink()
    assert run("--resume") == whole
    assert run("--resume", "--threads", "1", "--batch-size", "2") == whole
    assert "its options" in refused("--max-length", "3")
    assert "its options" in refused("--first-line", "2")
    (run.folder / f"out{END}").write_text("{")
    assert "damaged" in refused()
    run.source.write_text("".join(f"{line}\n" for line in [*LINES[:-1], "the fish"]))
    (run.folder / "out").unlink()
    whole = run("--resume")
    run.source.write_text("".join(f"{line}\n" for line in LINES))
    assert "its inputs" in refused()


@pytest.mark.parametrize("form", ["json", "lists"])
def test_shards_together_are_one_run(run: Runs, form: str) -> None:
    whole = run(*FORMS[form])
    assert b"".join(run(*FORMS[form], "--shard", f"{i}/3") for i in (1, 2, 3)) == whole
    rest = run.folder / "rest"
    rest.write_text("".join(f"{line}\n" for line in LINES[4:]))
    assert whole.endswith(run(*FORMS[form], "--first-line", "5", source=rest))


@given(lines=st.integers(0, 1000), count=st.integers(1, 50), first=st.integers(0, 9))
def test_shards_have_all_lines(lines: int, count: int, first: int) -> None:
    spans = [of_shard(lines, (place, count), first) for place in range(1, count + 1)]
    found = [n for span in spans for n in range(span.skip, span.skip + (span.lines or 0))]
    assert found == list(range(lines))
    assert all(span.number == span.skip + first for span in spans)
    assert max(s.lines or 0 for s in spans) - min(s.lines or 0 for s in spans) <= 1


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/2/3"])
def test_no_shard(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        shard(text)


def test_several_inputs_into_a_folder(run: Runs) -> None:
    whole = run(*FORMS["lists"])
    packed = run.folder / "packed.txt.gz"
    packed.write_bytes(gzip.compress(run.source.read_bytes()))
    folder = run.folder / "all"
    arguments = ["-i", str(run.source), str(packed), "-o", str(folder), *FORMS["lists"]]
    assert translate.main([*run._usual, *arguments]) == 0
    assert (folder / "in.txt").read_bytes() == whole
    assert gzip.decompress((folder / "packed.txt.gz").read_bytes()) == whole
    twice = ["-i", str(run.source), str(run.source), "-o", str(folder)]
    assert translate.main([*run._usual, *twice]) == 1


def test_tables_keep_their_columns(run: Runs) -> None:
    texts = run().decode().splitlines()
    table = run.folder / "table.tsv"
    table.write_text("".join(f"{n}\t{line}\tx\n" for n, line in enumerate(LINES)))
    found = run("--tsv", "2", source=table).decode().splitlines()
    assert found == [f"{n}\t{text}\tx" for n, text in enumerate(texts)]
    assert run.status("--tsv", "4", source=table) == 1


def test_json_lines_keep_their_members(run: Runs) -> None:
    texts = run("--output-format", "json").decode().splitlines()
    source = run.folder / "in.jsonl"
    source.write_text("".join(f'{{"n": 1.50e{n}, "text": {json.dumps(line)}}}\n'
                              for n, line in enumerate(LINES)))  # fmt: skip
    found = run("--input-format", "json", "--output-format", "json", source=source)
    expected = [f'{text[:-1]},"given":{{"n":1.50e{n}}}}}' for n, text in enumerate(texts)]
    assert found.decode().splitlines() == expected


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "no JSON document"),
        ("[1]", "no JSON document"),
        ('{"text": 1}', "is no text"),
        ('{"text": "\\ud800"}', "JSON"),
        ('{"other": "a"}', "has no member 'text'"),
        ('{"text": "a", "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "no JSON document"),
    ],
    ids=range(6),
)
def test_bad_documents(line: str, why: str) -> None:
    with pytest.raises(TextError, match=f"line 3.*{why}"):
        Documents(("text",), None, True).read(line, "line 3")
    with pytest.raises(TextError, match="line 3 has no column 2"):
        Columns(2).read("a", "line 3")


PACK = {".gz": gzip.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("end", PACK)
@given(contents=st.lists(st.binary(max_size=1000), min_size=1, max_size=3))
def test_compressed_files_of_other_programs(end: str, contents: Sequence[bytes]) -> None:
    kind = compressed.KINDS[end]
    packed = b"".join(map(PACK[end], contents))
    found = list(compressed.pieces(io.BytesIO(packed), kind, "file"))
    assert b"".join(p for p in found if isinstance(p, bytes)) == b"".join(contents)
    assert [p for p in found if isinstance(p, int)][-1] == len(packed)


@pytest.mark.parametrize("end", [".gz", ".xz", ".zst"])
def test_damaged_files(end: str) -> None:
    if end == ".zst":
        pytest.importorskip("backports.zstd")
    kind = compressed.KINDS[end]
    packed = kind.pack(os.urandom(1000))
    for size in (1, 10, len(packed) // 2, len(packed) - 1):
        with pytest.raises(UserError, match=r"^file: the .* data end in the middle"):
            list(compressed.pieces(io.BytesIO(packed[:size]), kind, "file"))
    for wrong in (packed + b"more", b"plain text, no archive" * 9):
        with pytest.raises(UserError, match=r"^file: "):
            list(compressed.pieces(io.BytesIO(wrong), kind, "file"))


@pytest.mark.parametrize("end", [".gz", ".xz", ".zst"])
def test_bombs_need_little_memory(end: str) -> None:
    if end == ".zst":
        pytest.importorskip("backports.zstd")
    kind = compressed.KINDS[end]
    sizes = [len(p) for p in compressed.pieces(io.BytesIO(kind.pack(bytes(1 << 24))), kind, "f")
             if isinstance(p, bytes)]  # fmt: skip
    assert sum(sizes) == 1 << 24
    assert max(sizes) <= compressed.BLOCK


@given(st.binary(max_size=200))
def test_measured(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "measured"
    path.write_bytes(content)
    assert measure(str(path)).lines == len(io.BytesIO(content).readlines())


@given(lines=st.lists(st.text("ab", max_size=3), max_size=6), torn=st.text("ab", max_size=3))
def test_whole_lines_are_kept(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], torn: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "kept"
    whole = "".join(f"{line}\n" for line in lines)
    path.write_text(whole + torn)
    assert kept(str(path), False, 0) == (len(lines), len(whole), len(whole + torn))


def test_durations() -> None:
    assert [duration(s) for s in (0, 59, 61, 3600, 9661)] == [
        "0 s", "59 s", "1 min 1 s", "1 h 0 min", "2 h 41 min",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["--resume", "a"],
        ["--shard", "1/2", "a"],
        ["--resume", "-i", "a"],
        ["--resume", "-i", "a", "-o", "b", "--receipt", "c"],
        ["-i", "a", "b"],
        ["-i", "a", "b", "-o", "c", "--receipt", "d"],
        ["-i", "a", "--tsv", "1", "--input-format", "json"],
        ["-i", "a", "--tsv", "1", "--output-format", "json"],
        ["-i", "a", "--tsv", "1", "--n-best", "1"],
        ["-i", "a", "--prefix-column", "--input-format", "json"],
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        translate.main(arguments)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--shard", "2/3"], ["--first-line", "4"]], ids=" ".join)
def test_receipts_of_shards_are_accepted(
    run: Runs, tiny_file: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    receipt = run.folder / "receipt"
    run(*FORMS["lists"], *options, "--receipt", str(receipt))
    capsys.readouterr()
    published = ["--against-output", str(run.folder / "out")]
    assert verify.main([str(receipt), "-m", str(tiny_file), "--quiet", *published]) == 0
    assert "accepted: translate" in capsys.readouterr().out
    (run.folder / "out").write_text("another\n")
    assert verify.main([str(receipt), "-m", str(tiny_file), "--quiet", *published]) == 1


@pytest.mark.parametrize(
    ("module", "form", "lines"),
    [
        (score, [], ["a cat\ta dog", "a\tb"]),
        (score, ["--input-format", "json"], ['{"source":"a cat","text":"a dog"}'] * 2),
        (generate, ["--temperature", "1"], ["a cat", "a dog"]),
        (generate, ["--input-format", "json"], ['{"prompt":"a cat"}', '{"prompt":"a"}']),
        (embed, ["--output-format", "json"], ["a cat", "a dog"]),
    ],
)
def test_other_commands_go_on(
    tmp_path: Path, tiny_file: Path, module: ModuleType, form: list[str], lines: list[str]
) -> None:
    path = tmp_path / "model.safetensors"
    if module is score:
        path = tiny_file
    else:
        save(path, build_encoder() if module is embed else build_tiny_model(kind="decoder"))
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_text("".join(f"{line}\n" for line in lines * 3))
    command = ["-m", str(path), "--quiet", *form, "-i", str(source), "-o", str(out)]
    assert module.main(command) == 0
    whole = out.read_bytes()
    out.unlink()
    for size in (0, len(whole) // 2):
        out.write_bytes(whole[:size])
        assert module.main([*command, "--resume"]) == 0
        assert out.read_bytes() == whole
