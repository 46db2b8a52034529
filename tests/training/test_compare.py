"""The tables of finished runs, from their small files alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from toy import toy_config

from training.compare import table
from training.run_files import CONFIG, INTEGER_SCORES, SCORES, write_json


def finished(folder: Path, model: dict[str, object], exact: float, integer: float) -> Path:
    folder.mkdir()
    write_json(folder / CONFIG, dataclasses.asdict(toy_config(model=model)))
    for name, value in ((SCORES, exact), (INTEGER_SCORES, integer)):
        metrics = dict.fromkeys(("bleu", "bleu_lower", "chrf", "word_perplexity"), value)
        lower = dict.fromkeys(metrics, value - 1)
        scores = {"test beam 5": metrics, "test": metrics, "valid beam 5": lower, "valid": lower}
        write_json(folder / name, scores)
    return folder


STANDARD: dict[str, object] = {"attention": "softmax", "norm": "l2"}


def test_seeds_are_averaged_and_compared_with_the_first_row(tmp_path: Path) -> None:
    runs = [
        finished(tmp_path / "a1", STANDARD, 30.0, 29.0),
        finished(tmp_path / "a2", STANDARD, 32.0, 33.0),
        finished(tmp_path / "b1", {}, 31.0, 31.5),
        finished(tmp_path / "b2", {}, 33.0, 33.5),
    ]
    lines = table(runs).splitlines()
    assert lines[2] == (
        "| softmax, L2 | 2 | 31.00 ± 1.41 | 31.00 ± 2.83 | +0.00 ± 1.00 | +0.00 ± 2.24 |"
    )
    assert lines[3] == (
        "| polynomial of degree 2, L1 | 2 | 32.00 ± 1.41 | 32.50 ± 1.41 | +0.50 ± 0.00 |"
        " +1.50 ± 1.41 |"
    )
    assert lines[5].startswith("| bleu, valid beam 5 |")
    assert lines[7].startswith("| softmax, L2 | 2 | 30.00 ± 1.41 | 30.00 ± 2.83 |")
    assert sum(line.startswith("|---") for line in lines) == 6


def test_further_sets_come_last_where_all_runs_have_them(tmp_path: Path) -> None:
    runs = [finished(tmp_path / name, STANDARD, 30.0, 29.0) for name in "ab"]
    for run, sets in zip(runs, (("new", "a"), ("new",)), strict=True):
        for name in (SCORES, INTEGER_SCORES):
            scores = json.loads((run / name).read_text())
            added = {f"{s} beam {n}": scores["test beam 5"] for s in sets for n in (1, 5)}
            write_json(run / name, added | scores)
    heads = [line for line in table(runs).splitlines() if line.startswith("| bleu, ")]
    found = [head.split(" | ")[0] for head in heads]
    assert found == ["| bleu, test beam 5", "| bleu, valid beam 5", "| bleu, new beam 5"]


def test_a_single_seed_has_no_spread(tmp_path: Path) -> None:
    model = STANDARD | {"encoder_layers": 0}
    lines = table([finished(tmp_path / "a", model, 80.0, 80.5)]).splitlines()
    assert lines[2] == "| softmax, L2 | 1 | 80.00 | 80.50 | +0.50 | +0.50 |"
    assert lines[6] == "| softmax, L2 | 1 | 79.00 | 79.50 | +0.50 | +0.50 |"


def test_runs_of_several_tasks_are_refused(tmp_path: Path) -> None:
    runs = [
        finished(tmp_path / "a", STANDARD, 30.0, 30.0),
        finished(tmp_path / "b", STANDARD | {"encoder_layers": 0}, 80.0, 80.0),
    ]
    with pytest.raises(ValueError, match="several tasks: language model, translation"):
        table(runs)
