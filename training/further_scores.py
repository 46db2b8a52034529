"""Scores finished runs on one more test set, in float and in integers:

python -m training.further_scores NAME --source FILE --target FILE RUN ...

Adds `NAME beam 1` and `NAME beam 5` to the scores.json and integer_scores.json of each run; the
int8 models are those that `training.integer_scores` wrote.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from training import evaluate
from training.run_files import (
    BEAMS,
    INTEGER_SCORES,
    SCORES,
    float_model,
    integer_model,
    read_config,
    write_json,
)
from training.text_files import read_lines
from training.translators import translator

BATCH = 64


def add(scores: Path, model: Path, name: str, source: list[str], target: list[str]) -> None:
    """Adds the scores of a model on a test set to those in a file."""
    known = json.loads(scores.read_text(encoding="utf-8"))
    translate = translator(model)
    for beam in BEAMS:
        found = translate(source, beam, BATCH)
        known[f"{name} beam {beam}"] = evaluate.of_translations(found, target)
        print(scores, name, beam, known[f"{name} beam {beam}"], flush=True)
    write_json(scores, known)


def main(command: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="of the test set")
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--source", required=True, help="text file, plain, .gz or .xz")
    parser.add_argument("--target", required=True, help="its reference translation")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    arguments = parser.parse_args(command)
    torch.set_num_threads(arguments.threads)
    source, target = (read_lines(Path(), [name]) for name in (arguments.source, arguments.target))
    if len(source) != len(target):
        parser.error(f"{len(source)} source lines, but {len(target)} target lines")
    for run in arguments.runs:
        config = read_config(run)
        if config.data.lowercase:
            source, target = ([line.lower() for line in lines] for lines in (source, target))
        for scores, model in (
            (SCORES, float_model(run, config.name)),
            (INTEGER_SCORES, integer_model(run, config.name)),
        ):
            add(run / scores, model, arguments.name, source, target)


if __name__ == "__main__":
    main()
