"""The command that writes a report: its page, its tables, its errors."""

from __future__ import annotations

import csv
import json
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
import tiny_encoders
import tiny_training

from tests.helpers.processes import TIMEOUT
from weights_import.__main__ import main as weights_import
from weights_import.report.__main__ import main
from weights_import.report.page import page

Errors = pytest.CaptureFixture[str]
HOSTILE = '</script><script>alert("x")</script><b>bold</b> \u2028 & "quoted" {{data}}'
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a tiny translator, and its model file beside it."""
    folder = tmp_path_factory.mktemp("report")
    checkpoint = tiny_training.write(folder)
    text = folder / "text"
    text.write_text("".join(f"{line}\n" for line in [*tiny_training.SENTENCES, HOSTILE]), "utf-8")
    common = [str(checkpoint), "--calibration", str(text), "-q"]
    model = str(folder / "model.safetensors")
    assert weights_import([*common, "-o", model]) == 0
    arguments = [*common, model, "--text", str(text), "-o", str(folder / "report.html")]
    assert main(arguments) == 0
    return folder


def document(content: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', content, re.S)
    assert found
    return json.loads(found[1])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_needs_no_other_file(report: Path) -> None:
    content = (report / "report.html").read_text("utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#)""", content)
    outside = set(re.findall(r"https?://[^\s\"'`)]+", content))
    assert outside <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in content
    assert "url(" not in content


def test_tables_are_the_tables_of_the_page(report: Path) -> None:
    shown = document((report / "report.html").read_text("utf-8"))
    operations = rows(report / "report.operations.csv")
    losses = [float(row["loss"]) for row in operations]
    assert losses == sorted(losses, reverse=True)
    assert sum(losses) == pytest.approx(shown["whole"]["sum"])
    table = shown["tables"]["operations"]
    assert [row[0] for row in table["rows"]] == [row["operation"] for row in operations]
    sentences = rows(report / "report.sentences.csv")
    assert len(sentences) == len(tiny_training.SENTENCES) + 1
    assert HOSTILE in {row["text"] for row in sentences}
    counted = {row["value"] for row in rows(report / "report.histograms.csv")}
    assert counted <= {row["value"] for row in rows(report / "report.values.csv")}
    assert sum(int(row["rows"]) for row in rows(report / "report.lengths.csv")) == len(sentences)


def test_both_texts_and_their_first_difference(report: Path) -> None:
    shown = document((report / "report.html").read_text("utf-8"))
    for one in shown["sentences"]:
        float_tokens, integer_tokens, first = one["float"], one["integer"], one["first"]
        assert float_tokens[:first] == integer_tokens[:first]
        if first is not None:
            assert float_tokens[first : first + 1] != integer_tokens[first : first + 1]
    same = sum(row["float"] == row["integer"] for row in rows(report / "report.sentences.csv"))
    assert shown["whole"]["same"] <= same


def test_no_text_is_read_as_html(report: Path) -> None:
    content = page({"title": HOSTILE, "text": HOSTILE}).decode()
    assert content.count("</script>") == 2
    assert document(content)["text"] == HOSTILE


def arguments(report: Path, *more: str) -> list[str]:
    source = [p for p in report.glob("*.safetensors") if p.name != "model.safetensors"]
    return [str(source[0]), "--calibration", str(report / "text"), "-q", *more]


def refused(given: list[str], errors: Errors) -> str:
    assert main(given) == 1
    told = errors.readouterr().err
    assert told.startswith("int8ref: error: ")
    assert told.count("\n") == 1
    return told


def test_another_model_is_refused_with_the_differences(report: Path, capsys: Errors) -> None:
    model = str(report / "model.safetensors")
    common = ["--text", str(report / "text"), "-o", str(report / "other.html")]
    told = refused(arguments(report, model, *common, "--requantize", "shift"), capsys)
    assert "requantize is multiplier in the file and shift here" in told
    assert not list(report.glob("other.*"))


@pytest.mark.parametrize(
    ("output", "told"),
    [("report.txt", "ends with .html"), ("none/report.html", "there is no folder")],
)
def test_outputs_that_cannot_be(report: Path, output: str, told: str, capsys: Errors) -> None:
    common = ["--text", str(report / "text"), "-o", str(report / output)]
    assert told in refused(arguments(report, *common), capsys)


def test_wrong_usage(capsys: Errors) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["checkpoint", "-o", "report.html"])
    assert stopped.value.code == 2
    assert "--text" in capsys.readouterr().err


@pytest.mark.parametrize("case", ["bert", "distilbert, labels"])
def test_encoders_alone(case: str, tmp_path: Path) -> None:
    lines = [f"{' '.join(tiny_encoders.TOKENS[6 + i : 9 + i])}\n" for i in range(6)]
    (tmp_path / "text").write_text("".join(lines), "utf-8")
    text = str(tmp_path / "text")
    checkpoint = str(tiny_encoders.write(tmp_path, case))
    output = tmp_path / "report.html"
    given = [checkpoint, "--calibration", text, "--text", text, "-q", "-o", str(output)]
    assert main(given) == 0
    shown = document(output.read_text("utf-8"))
    assert shown["kind"] == ("labels" if "labels" in case else "embedding")
    assert len(rows(tmp_path / "report.sentences.csv")) == len(lines)
    assert (tmp_path / "report.pairs.csv").exists() == (case == "bert")


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [1100, 400])
def test_a_browser_draws_the_page_without_an_error(
    report: Path, width: int, tmp_path: Path
) -> None:
    shot, profile = tmp_path / "shot.png", tmp_path / "profile"
    command = [
        str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={profile}", f"--window-size={width},2000", "--enable-logging=stderr",
        "--virtual-time-budget=4000",
    ]  # fmt: skip
    url = (report / "report.html").as_uri()
    for action in (f"--screenshot={shot}", "--dump-dom"):
        done = subprocess.run(
            [*command, action, url], capture_output=True, timeout=TIMEOUT, check=True, text=True
        )
        assert "CONSOLE" not in done.stderr
    assert 'data-drawn="yes"' in done.stdout
    for name in ("operations", "values", "positions", "sentences", "histograms", "attention"):
        assert f'<section id="{name}">' in done.stdout
    colours, lines = drawn(shot.read_bytes())
    assert colours > 20
    assert lines > 1000


def drawn(png: bytes) -> tuple[int, int]:
    """The number of byte values in the rows of a PNG, and of rows that differ from the row above.

    The rows are filtered, so that an empty page has few values.
    """
    at, packed, header = 8, b"", b""
    while at < len(png):
        size, kind = struct.unpack_from(">I4s", png, at)
        body = png[at + 8 : at + 8 + size]
        header, packed = (body, packed) if kind == b"IHDR" else (header, packed)
        packed += body if kind == b"IDAT" else b""
        at += size + 12
    width, height, _, kind_of_pixel = struct.unpack_from(">IIBB", header)
    step = 1 + width * {2: 3, 6: 4}[kind_of_pixel]
    raw = zlib.decompress(packed)
    lines = [raw[i * step : (i + 1) * step] for i in range(height)]
    return len(set(raw)), sum(len(set(line)) > 4 for line in lines)
