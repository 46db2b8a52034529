"""Draws the learning curves of runs: python -m training.curves FOLDER ... -o curves.svg

A folder holds the `log.jsonl` of a run.  The left plot shows the training loss in nats a token,
smoothed over 500 steps.  The right plot shows the validation score: BLEU, or the perplexity of a
language model.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

SMOOTHED = 10
"""Number of lines of the log in a mean."""
VALIDATED = ("bleu", "word_perplexity")


def curve(log: list[dict[str, float]], key: str) -> tuple[list[float], list[float]]:
    """Return (steps, values) of the lines that have the key."""
    lines = [line for line in log if key in line]
    return [line["step"] for line in lines], [line[key] for line in lines]


def smooth(values: list[float]) -> list[float]:
    """Return the mean of the last values at each place."""
    windows = (values[max(0, i + 1 - SMOOTHED) : i + 1] for i in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    for run in arguments.runs:
        text = (run / "log.jsonl").read_text(encoding="utf-8")
        log = [json.loads(line) for line in text.splitlines()]
        steps, values = curve(log, "nll")
        (line,) = losses.plot(steps, smooth(values), label=run.name, linewidth=1)
        for key in VALIDATED:
            scores.plot(*curve(log, key), color=line.get_color(), marker=".", linewidth=1)
    losses.set(xlabel="step", ylabel="training loss, nats a token")
    scores.set(xlabel="step", ylabel="validation, greedy")
    losses.legend(fontsize=7)
    with rc_context({"svg.hashsalt": "curves"}):  # equal input gives equal bytes
        figure.savefig(arguments.output, metadata={"Date": None})


if __name__ == "__main__":
    main()
