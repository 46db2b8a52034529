"""Tables of finished runs in Markdown:  python -m training.compare RUN ...

The program reads `config.json`, `scores.json` and `integer_scores.json` in the folder of each run.
Runs that differ only in the seed form one row.  A row has the means over the seeds with their
standard deviations, for float and int8.  It also has two differences of int8: from the float scores
of the same weights, and from the float scores of the first row.  The spread over the seeds gives
the standard errors of the differences.  There is one table for each test set on which all runs have
scores (see `training.further_scores`).
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
    """Return the name of a row: attention and norm."""
    model = config.model
    degree = f" of degree {model.degree}" if model.attention == "polynomial" else ""
    return f"{model.attention}{degree}, {model.norm.upper()}"


def task(config: Config) -> str:
    return "translation" if config.model.encoder_layers else "language model"


def collect(runs: Sequence[Path], metrics: Sequence[str], split: str) -> dict[str, Row]:
    """Return the rows in the order of the runs."""
    rows: dict[str, Row] = {}
    for run in runs:
        row = rows.setdefault(parts(read_config(run)), Row())
        for values, name in ((row.exact, SCORES), (row.integer, INTEGER_SCORES)):
            scores = json.loads((run / name).read_text(encoding="utf-8"))[split]
            for metric in metrics:
                values.setdefault(metric, []).append(scores[metric])
    return rows


def splits(runs: Sequence[Path], kind: str) -> list[str]:
    """Return the test sets on which all runs have scores: test, valid, then others.

    For translations, only the scores with the largest beam count.
    """
    scored = [
        json.loads((run / name).read_text(encoding="utf-8"))
        for run in runs
        for name in (SCORES, INTEGER_SCORES)
    ]
    ending = f" beam {max(BEAMS)}" if kind == "translation" else ""
    common = [s for s in scored[0] if s.endswith(ending) and all(s in scores for scores in scored)]
    return sorted(common, key=lambda split: (split.removesuffix(ending) not in SPLITS, split))


def mean(values: Sequence[float]) -> str:
    """Format the mean, and the standard deviation over several seeds."""
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{spread}"


def paired(values: Sequence[float], base: Sequence[float]) -> str:
    """Format the mean of the differences seed by seed, with its standard error."""
    return difference([b - a for a, b in zip(base, values, strict=True)], [0.0] * len(base))


def difference(values: Sequence[float], base: Sequence[float]) -> str:
    """Format the difference of the means with its standard error, for independent seeds."""
    apart = statistics.fmean(values) - statistics.fmean(base)
    if min(len(values), len(base)) < 2:
        return f"{apart:+.2f}"
    error = math.sqrt(sum(statistics.variance(v) / len(v) for v in (values, base)))
    return f"{apart:+.2f} ± {error:.2f}"


def table(runs: Sequence[Path]) -> str:
    """Return one table for each metric and split.  Raises `ValueError` if the tasks differ."""
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
