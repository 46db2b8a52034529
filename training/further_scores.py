"""Scores finished runs on one more test set, in float and in integers:

python -m training.further_scores NAME --source FILE --target FILE RUN ...

Adds the scores `NAME beam 1` and `NAME beam 5` to scores.json and integer_scores.json of each run.
`training.integer_scores` must have written the int8 models before.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from training import translators
from training.run_files import (
    INTEGER_SCORES,
    SCORES,
    float_model,
    integer_model,
    read_config,
    write_json,
)
from training.text_files import read_parallel


def add(scores: Path, model: Path, name: str, pairs: tuple[list[str], list[str]]) -> None:
    """Add the scores of a model on a test set to a file of scores."""
    found = translators.scores(translators.translator(model), name, *pairs)
    write_json(scores, json.loads(scores.read_text(encoding="utf-8")) | found)
    for split, values in found.items():
        print(scores, split, values, flush=True)


def main(command: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="of the test set")
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--source", required=True, help="text file, plain, .gz or .xz")
    parser.add_argument("--target", required=True, help="its reference translation")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    arguments = parser.parse_args(command)
    torch.set_num_threads(arguments.threads)
    for run in arguments.runs:
        config = read_config(run)
        try:
            pairs = read_parallel(arguments.source, arguments.target, config.data.lowercase)
        except ValueError as error:
            parser.error(str(error))
        for scores, model in (
            (SCORES, float_model(run, config.name)),
            (INTEGER_SCORES, integer_model(run, config.name)),
        ):
            add(run / scores, model, arguments.name, pairs)


if __name__ == "__main__":
    main()
