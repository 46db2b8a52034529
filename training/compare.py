"""Tables of finished runs in Markdown:  python -m training.compare RUN ...

A folder of a run holds `config.json`, `scores.json` and `integer_scores.json`, all that is read.
Runs that differ in the seed alone form one row: means over seeds with their standard deviation,
float and int8, and how far int8 stands from the float of the same weights and from that of the
first row, with the standard errors that the seeds' spread gives these differences.  There is a
table for each test set that all runs are scored on (see `training.further_scores`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.config import Config
from training.run_files import BEAMS, INTEGER_SCORES, SCORES, SPLITS, read_config

METRICS = {"translation": ("bleu", "bleu_lower", "chrf"), "language model": ("word_perplexity",)}


@dataclass
class Row:
    """The scores of every seed, by metric."""

    exact: dict[str, list[float]] = field(default_factory=dict)
    integer: dict[str, list[float]] = field(default_factory=dict)


def parts(config: Config) -> str:
    """What the comparison is about: attention and norm."""
    model = config.model
    degree = f" of degree {model.degree}" if model.attention == "polynomial" else ""
    return f"{model.attention}{degree}, {model.norm.upper()}"


def task(config: Config) -> str:
    return "translation" if config.model.encoder_layers else "language model"


def collect(runs: Sequence[Path], metrics: Sequence[str], split: str) -> dict[str, Row]:
    """The rows, in the order of the runs."""
    rows: dict[str, Row] = {}
    for run in runs:
        row = rows.setdefault(parts(read_config(run)), Row())
        for values, name in ((row.exact, SCORES), (row.integer, INTEGER_SCORES)):
            scores = json.loads((run / name).read_text(encoding="utf-8"))[split]
            for metric in metrics:
                values.setdefault(metric, []).append(scores[metric])
    return rows


def splits(runs: Sequence[Path], kind: str) -> list[str]:
    """What all runs are scored on, translations with the larger beam: test, valid, then others."""
    scored = [
        json.loads((run / name).read_text(encoding="utf-8"))
        for run in runs
        for name in (SCORES, INTEGER_SCORES)
    ]
    ending = f" beam {max(BEAMS)}" if kind == "translation" else ""
    common = [s for s in scored[0] if s.endswith(ending) and all(s in scores for scores in scored)]
    return sorted(common, key=lambda split: (split.removesuffix(ending) not in SPLITS, split))


def mean(values: Sequence[float]) -> str:
    """The mean, and the standard deviation between seeds where there are several."""
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{spread}"


def paired(values: Sequence[float], base: Sequence[float]) -> str:
    """The mean of the differences seed by seed, with its standard error."""
    return difference([b - a for a, b in zip(base, values, strict=True)], [0.0] * len(base))


def difference(values: Sequence[float], base: Sequence[float]) -> str:
    """The difference of the means with its standard error, seeds drawn independently."""
    apart = statistics.fmean(values) - statistics.fmean(base)
    if min(len(values), len(base)) < 2:
        return f"{apart:+.2f}"
    error = math.sqrt(sum(statistics.variance(v) / len(v) for v in (values, base)))
    return f"{apart:+.2f} ± {error:.2f}"


def table(runs: Sequence[Path]) -> str:
    """One table a metric and split.  Raises `ValueError` for runs of several tasks."""
    kinds = {task(read_config(run)) for run in runs}
    if len(kinds) != 1:
        raise ValueError(f"runs of several tasks: {', '.join(sorted(kinds))}")
    (kind,) = kinds
    lines = []
    for metric, split in itertools.product(METRICS[kind], splits(runs, kind)):
        rows = collect(runs, (metric,), split)
        first = next(iter(rows.values()))
        lines += [f"| {metric}, {split} | seeds | float | int8 | int8 - float | int8 - first |"]
        lines += ["|---|---|---|---|---|---|"]
        for name, row in rows.items():
            exact, integer = row.exact[metric], row.integer[metric]
            cells = [name, str(len(exact)), mean(exact), mean(integer), paired(integer, exact)]
            cells += [difference(integer, first.exact[metric])]
            lines += [f"| {' | '.join(cells)} |"]
        lines += [""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    try:
        print(table(parser.parse_args().runs))
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
