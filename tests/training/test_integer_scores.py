"""A run from text files to the scores and the speed of its int8 model."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")
pytest.importorskip("sacrebleu", reason="scores are sacrebleu's")

from toy import toy_config

from training import compare, further_scores, integer_scores, score, speed
from training.run_files import CONFIG, INTEGER_SCORES, SCORES, write_json
from training.train import Trainer

AllScores = dict[str, dict[str, float]]


@pytest.mark.parametrize("kind", ["translation", "language model"])
def test_a_run_is_scored_in_float_and_in_integers(
    kind: str,
    toy_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    alone = kind == "language model"
    config = toy_config(
        model={"encoder_layers": 0} if alone else {},
        data={"max_length": 16} if alone else {},
        # With fewer steps, a translation is empty.
        optim={} if alone else {"steps": 120, "learning_rate": 1e-2, "warmup": 20},
    )
    shutil.copytree(toy_data, tmp_path / "data")
    trainer = Trainer(config, tmp_path / "data", tmp_path)
    trainer.run()
    trainer.finish()
    write_json(tmp_path / CONFIG, dataclasses.asdict(config))
    monkeypatch.setattr(sys, "argv", ["integer_scores", str(tmp_path)])
    integer_scores.main()
    exact, integer = (
        json.loads((tmp_path / name).read_text()) for name in (SCORES, INTEGER_SCORES)
    )
    assert exact.keys() == integer.keys()
    assert alone or exact["test beam 5"]["chrf"] > 5
    for split, scores in exact.items():
        assert scores.keys() == integer[split].keys()
    if not alone:
        check_models(tmp_path, config.name, exact, integer, capsys)
    if alone:
        found, wanted = (scores["test"]["word_perplexity"] for scores in (integer, exact))
        assert abs(found / wanted - 1) < 0.05
    assert f"| polynomial of degree 2, L1 | 1 | {exact_score(exact, alone):.2f} |" in compare.table(
        [tmp_path]
    )


def check_models(
    run: Path, name: str, exact: AllScores, integer: AllScores, out: pytest.CaptureFixture[str]
) -> None:
    """Check the commands that take models and a text, on the test set of the run."""
    paths = [str(run / f"{name}{kind}.safetensors") for kind in ("", "-int8")]
    text = ["--source", str(run / "data" / "test.source.txt")]
    references = ["--target", str(run / "data" / "test.target.txt")]
    out.readouterr()
    score.main([*text, *references, *paths])
    rows = out.readouterr().out.splitlines()[2:4]
    for row, path, scores in zip(rows, paths, (exact, integer), strict=True):
        found = scores["test beam 5"].values()
        assert row == f"| {path} | {' | '.join(f'{value:.2f}' for value in found)} |"
    further_scores.main(["again", *text, *references, str(run)])
    for file, before in ((SCORES, exact), (INTEGER_SCORES, integer)):
        again = {f"again beam {beam}": before[f"test beam {beam}"] for beam in (1, 5)}
        assert json.loads((run / file).read_text()) == before | again
    out.readouterr()
    speed.main([*text, "--lines", "3", "--rounds", "2", *paths])
    rows = out.readouterr().out.splitlines()[2:]
    batches = [(path, batch) for batch in ("1", "32") for path in paths]
    assert [tuple(row.split(" | ")[:2]) for row in rows] == [(f"| {p}", b) for p, b in batches]


def test_a_lower_cased_run_changes_nothing_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, seen = [tmp_path / name for name in ("lower", "cased")], []
    for run, lowercase in zip(runs, (True, False), strict=True):
        run.mkdir()
        config = toy_config(data={"lowercase": lowercase})
        write_json(run / CONFIG, dataclasses.asdict(config))
    monkeypatch.setattr(further_scores, "add", lambda *given: seen.append(given[-1]))
    (tmp_path / "s").write_text("A b\n")
    (tmp_path / "t").write_text("C d\n")
    text = ["--source", str(tmp_path / "s"), "--target", str(tmp_path / "t")]
    further_scores.main(["again", *text, *map(str, runs)])
    assert seen == [(["a b"], ["c d"])] * 2 + [(["A b"], ["C d"])] * 2


def exact_score(scores: AllScores, alone: bool) -> float:
    return scores["test"]["word_perplexity"] if alone else scores["test beam 5"]["bleu"]
