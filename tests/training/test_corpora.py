"""The texts of the large recipes, read from files in the forms in which they are distributed."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from training import corpora
from training.archives import Downloads

TABLES = sorted((Path(corpora.__file__).parent / "texts").glob("*.toml"))

TABLE = """
languages = ["en", "ro"]
max_words = 4
max_ratio = 2.0
[[train]]
name = "first"
en = ["absent.en", "deep/text.en"]
ro = "deep/text.ro"
[[train]]
name = "table"
tsv = "pairs.tsv"
columns = [2, 0]
[[valid]]
name = "dev"
en = "dev-src.en.sgm"
ro = "dev.ro"
[[test]]
name = "test"
en = "test.en"
ro = "test.ro"
"""

FILES = {
    "deep/text.en": b"a b\nc\n\nd e f g h\ni j k\nbad \xff\nline\xe2\x80\xa8separator x\n",
    "deep/text.ro": b"A B\nC\nX\nD E F G H\nI\nB Y\nL M\n",
    "pairs.tsv": "ro one\t5\ten one\nțară\t6\tcountry\n".encode(),
    "dev-src.en.sgm": b'<doc>\n<seg id="1"> R&amp;D </seg>\n<SEG id="2">two</SEG>\n</doc>\n',
    "dev.ro": b"unu\ndoi\n",
    "test.en": b"kept although it is much too long\n",
    "test.ro": b"x\n",
}

WANTED = {
    "train.en": ["a b", "c", "line\u2028separator x", "en one", "country"],
    "train.ro": ["A B", "C", "L M", "ro one", "țară"],
    "valid.en": ["R&D", "two"],
    "valid.ro": ["unu", "doi"],
    "test.en": ["kept although it is much too long"],
    "test.ro": ["x"],
}


def extracted(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(content)


def compressed(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))


def tar(folder: Path) -> None:
    """Each side in an archive of its own; the text is compressed again inside."""
    for name, content in FILES.items():
        with tarfile.open(folder / f"{Path(name).name}.tgz", "w:gz") as archive:
            packed = gzip.compress(content)
            info = tarfile.TarInfo(f"top/{name}.gz")
            info.size = len(packed)
            archive.addfile(info, io.BytesIO(packed))


def zipped(folder: Path) -> None:
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for name, content in FILES.items():
            archive.writestr(f"top/{name}", content)


def lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]


def run(tmp_path: Path, downloads: Path) -> Path:
    (tmp_path / "NAME.toml").write_text(TABLE, encoding="utf-8")
    options = "--downloads", str(downloads), "--out", str(tmp_path / "out")
    corpora.main([str(tmp_path / "NAME.toml"), *options])
    return tmp_path / "out" / "NAME"


@pytest.mark.parametrize("form", [extracted, compressed, tar, zipped])
def test_every_form_gives_the_same_text(form: object, tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    form(tmp_path / "downloads")  # type: ignore[operator]
    found = run(tmp_path, tmp_path / "downloads")
    assert {name: lines(found / f"{name}.gz") for name in WANTED} == WANTED
    assert sorted(p.name for p in found.iterdir()) == sorted(
        [*(f"{name}.gz" for name in WANTED), "prepared.json"]
    )
    assert json.loads((found / "prepared.json").read_text())["train"]["first"] == {
        "lines": 3,
        "an empty side": 1,
        "too long": 1,
        "lengths differ too much": 1,
        "not UTF-8": 1,
    }


def test_equal_text_gives_equal_bytes(tmp_path: Path) -> None:
    extracted(tmp_path / "downloads")
    first = {p.name: p.read_bytes() for p in run(tmp_path, tmp_path / "downloads").iterdir()}
    again = {p.name: p.read_bytes() for p in run(tmp_path, tmp_path / "downloads").iterdir()}
    assert first == again


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("deep/text.ro", None, "has no deep/text.ro"),
        ("deep/text.ro", b"A\n", "differ in the number of lines"),
        ("pairs.tsv", b"one\ttwo\n", "line 1 has only 2 columns"),
        ("broken.tgz", b"no archive", "is no readable archive"),
    ],
)
def test_faults_are_named(
    name: str,
    content: bytes | None,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    extracted(tmp_path / "downloads")
    path = tmp_path / "downloads" / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, tmp_path / "downloads")
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "NAME" / "prepared.json").exists()
    assert not list(tmp_path.glob("out/NAME/*.partial"))


@pytest.mark.parametrize("path", TABLES, ids=[path.stem for path in TABLES])
def test_the_tables_of_the_recipes_are_complete(path: Path, tmp_path: Path) -> None:
    """With the first name of each file in one folder, the command converts every corpus."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    for split in corpora.SPLITS:
        for part in table[split]:
            for language in table["languages"]:
                name = corpora.names_of(part[language])[0]
                segment = f'<seg id="1">{part["name"]}</seg>' if name.endswith(".sgm") else "x"
                (tmp_path / name).write_text(f"{segment}\n", encoding="utf-8")
    out = tmp_path / "out"
    corpora.main([str(path), "--downloads", str(tmp_path), "--out", str(out)])
    counts = json.loads((out / path.stem / "prepared.json").read_text())
    assert all(part == {"lines": 1} for split in counts.values() for part in split.values())


def test_names_match_whole_components(tmp_path: Path) -> None:
    (tmp_path / "not-text.en").write_text("wrong\n")
    with pytest.raises(FileNotFoundError, match=r"has no text\.en"):
        Downloads(tmp_path).find(["text.en"])
