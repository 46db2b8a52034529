"""Dry runs of the recipes of the paper's size, with all layers and widths, on a slice of text.

Each recipe prepares its text, trains for 100 steps, is killed and resumed once, and its model is
imported, scored and used.  Text, vocabulary and batches are small.  The largest recipe needs 6 GB
of memory and 6 GB of disk.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")
pytest.importorskip("sacrebleu", reason="scores are sacrebleu's")

from training import corpora
from training.checkpoint import RESUME
from training.config import load
from training.run_files import INTEGER_SCORES, LOG, SCORES, integer_model

PACKAGE = Path(corpora.__file__).parent
ROOT = PACKAGE.parent
LINES = {"train": 3000, "valid": 4, "test": 4}
STEPS = 100

SMALL = (
    "data.vocabulary=1000",
    f"optim.steps={STEPS}",
    "optim.batches_per_step=1",
    "optim.warmup=40",
    "report.log_steps=5",
    "report.valid_steps=100",
    "report.valid_lines=4",
    "report.average_steps=100",
    "report.average_last=1",
)


def words() -> Iterator[list[str]]:
    """Yield lines of 3 to 12 words of the project's own pages, again and again."""
    text = " ".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "docs").glob("*.md")))
    stream = cycle(word for word in text.split() if word.isalpha())
    for length in cycle(range(3, 13)):
        yield list(islice(stream, length))


def write_downloads(table: dict[str, object], folder: Path) -> None:
    """Write every file of a corpus.  The other language has the words in reverse order."""
    source = words()
    for split, count in LINES.items():
        parts = table[split]
        assert isinstance(parts, list)
        for part in parts:
            lines = list(islice(source, count // len(parts)))
            for place, language in enumerate(table["languages"]):  # type: ignore[arg-type, var-annotated]
                name = corpora.names_of(part[language])[0]
                text = [" ".join(line[:: -1 if place else 1]) for line in lines]
                if name.endswith(".sgm"):
                    text = [f'<seg id="1">{line}</seg>' for line in text]
                (folder / name).write_text("".join(f"{line}\n" for line in text))


def call(module: str, *arguments: object, timeout: int = 3600) -> str:
    found = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def start_and_kill(command: list[str], folder: Path) -> int:
    """Start the training, kill it after its first checkpoint, and return the last logged step."""
    victim = subprocess.Popen([*command, "--set", "report.save_seconds=0.0"])
    while not (folder / RESUME).exists() and victim.poll() is None:
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert (folder / RESUME).exists()
    return len((folder / LOG).read_text().splitlines()) if (folder / LOG).exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wmt16-en-ro", "wmt14-en-de", "wmt14-en-fr", "wikitext-103"])
def test_a_recipe_of_the_papers_size_runs(name: str, tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    table = PACKAGE / "texts" / f"{name}.toml"
    write_downloads(tomllib.loads(table.read_text(encoding="utf-8")), tmp_path / "downloads")
    call("training.corpora", table, "--downloads", tmp_path / "downloads", "--out", tmp_path)

    recipe, run = PACKAGE / "configs" / f"{name}.toml", tmp_path / "run"
    alone = load(recipe).model.encoder_layers == 0
    small = (
        *SMALL,
        "data.max_length=32" if alone else "data.max_length=64",
        "optim.batch_tokens=64",
    )
    changes = [part for change in small for part in ("--set", change)]
    command = [sys.executable, "-m", "training.train", str(recipe), "--out", str(run)]
    command += ["--root", str(tmp_path), *changes]
    assert start_and_kill(command, run) < STEPS // 5
    call(*command[2:], "--set", "report.save_seconds=60.0")
    log = [json.loads(line) for line in (run / LOG).read_text().splitlines()]
    losses = [line["nll"] for line in log if "nll" in line]
    assert [line["step"] for line in log if "nll" in line] == list(range(5, STEPS + 1, 5))
    assert sum(losses[-4:]) < sum(losses[:4])

    call("training.integer_scores", run)
    exact, integer = (json.loads((run / file).read_text()) for file in (SCORES, INTEGER_SCORES))
    assert exact.keys() == integer.keys()
    model, text = integer_model(run, name), run / "data" / "test.target.txt"
    if alone:
        found, wanted = (scores["test"]["word_perplexity"] for scores in (integer, exact))
        assert abs(found / wanted - 1) < 0.05
        assert "perplexity" in call("int8ref.perplexity", "-m", model, "-i", text)
    else:
        assert call("int8ref.translate", "-m", model, "a file and a model").endswith("\n")
        assert call("int8ref.score", "-m", model, run / "data" / "test.source.txt", text)
    shutil.rmtree(tmp_path)  # gigabytes, which pytest would keep
