"""How close integer embeddings are to the float embeddings of the same checkpoint.

    python -m benchmarks.similarity CHECKPOINT MODEL --pairs stsb-en-dev.csv

Each line of the pairs has two sentences and how similar people find them.  The table reports the
cosine of the integer embedding and of the float embedding of each sentence, and the rank
correlation (Spearman) of the people's numbers and the cosines of the pairs.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from int8ref.encoder import Encoder
from int8ref.files.model_file import load
from weights_import import sources
from weights_import.calibrate import tokenize
from weights_import.forward import outputs

Floats = npt.NDArray[np.float64]
BATCH = 100
"""Sentences of a float batch."""


def float_vectors(checkpoint: Path, texts: list[str]) -> Floats:
    """Return the embeddings of the float model, without rounding."""
    model = sources.read(checkpoint)
    ids = tokenize(model, texts)
    batches = [outputs(model, ids[i : i + BATCH]) for i in range(0, len(ids), BATCH)]
    return np.concatenate(batches).astype(np.float64)


def cosines(a: Floats, b: Floats) -> Floats:
    """Return the cosine of each pair of rows."""
    sizes = (a * a).sum(1) * (b * b).sum(1)
    return np.asarray((a * b).sum(1) / np.sqrt(sizes))


def ranks(x: Floats) -> Floats:
    """Return the rank of each number; equal numbers share the mean of their ranks."""
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(((ends - counts + ends - 1) / 2)[place])


def spearman(a: Floats, b: Floats) -> float:
    """Return the rank correlation."""
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def table(exact: Floats, found: Floats, wanted: Floats) -> str:
    """Return the table; the first sentences of all pairs lie before the second sentences."""
    close = cosines(exact, found)
    lines = [f"| cosine with float, mean (least) | {close.mean():.5f} ({close.min():.3f}) |"]
    for name, x in (("float", exact), ("integer", found)):
        first, second = np.split(x, 2)
        lines.append(
            f"| Spearman x 100, {name} | {100 * spearman(cosines(first, second), wanted):.2f} |"
        )
    return "\n".join(["| | |", "|---|---|", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--pairs", type=Path, required=True, help="CSV: sentence, sentence, number")
    options = parser.parse_args()
    with options.pairs.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    texts = [row[column] for column in (0, 1) for row in rows]
    found = Encoder(load(options.model)).embed(texts).astype(np.float64)
    wanted = np.array([float(row[2]) for row in rows])
    print(table(float_vectors(options.checkpoint, texts), found, wanted))


if __name__ == "__main__":
    main()
