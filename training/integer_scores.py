"""Imports finished runs as int8 models and scores those:  python -m training.integer_scores RUN ...

Writes NAME-int8.safetensors and integer_scores.json into the folder of each run.  The form of
integer_scores.json equals the form of scores.json.  Splits, search and windows are equal too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from int8ref import LanguageModel, Speed
from int8ref.files import model_file
from training import evaluate, translators
from training.run_files import (
    INTEGER_SCORES,
    SPLITS,
    float_model,
    integer_model,
    read_config,
    write_json,
)
from weights_import.__main__ import main as import_weights


def import_run(run: Path, name: str) -> Path:
    """Return the int8 model of a run.  Its calibration text is lines of the training text."""
    path, calibration = integer_model(run, name), run / "data" / "calibration.txt"
    wanted = [str(float_model(run, name)), "-o", str(path), "--calibration", str(calibration)]
    if import_weights([*wanted, "--quiet"]):
        raise SystemExit(1)
    return path


def translation(path: Path, data: Path, threads: int) -> dict[str, dict[str, float]]:
    """Return BLEU and chrF of each split, for each beam size of the float scores."""
    translate = translators.in_integers(path, threads)
    scores = {}
    for split in SPLITS:
        source, target = (evaluate.text(data, split, side) for side in ("source", "target"))
        scores |= translators.scores(translate, split, source, target)
    return scores


def language_model(
    path: Path, data: Path, window: int, threads: int
) -> dict[str, dict[str, float]]:
    """Return the perplexity of each split."""
    model = LanguageModel(model_file.load(path), speed=Speed(threads=threads))
    scores = {}
    for split in SPLITS:
        lines = evaluate.text(data, split, "target")
        found = model.perplexity(lines, window)
        words, pieces = float(found.of_words), float(found.of_tokens)
        scores[split] = {"word_perplexity": words, "piece_perplexity": pieces}
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    for run in arguments.runs:
        config = read_config(run)
        path, data = import_run(run, config.name), run / "data"
        if config.model.encoder_layers:
            scores = translation(path, data, arguments.threads)
        else:
            scores = language_model(path, data, config.data.max_length, arguments.threads)
        write_json(run / INTEGER_SCORES, scores)
        print(run, scores["test" if "test" in scores else "test beam 5"], flush=True)


if __name__ == "__main__":
    main()
