"""The float model equals Marian on random checkpoints of every kind.

`marian_scores.json` holds translations and the log-probability of each token, by Marian (pymarian
1.12.42, float32, beam size 1, at most one target token for each source token).  Marian prints five
decimals.  For a pre-norm decoder, Marian's search takes the keys and values of self-attention from
before the norm, from the second token on.  Its training does not.  Therefore only the first tokens
of pre-norm decoders are compared.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_marian as tiny

from weights_import.float_search import greedy
from weights_import.forward import forced
from weights_import.sources import marian_bin

SOURCES = [[*range(2, 11), 2, 3, 4, 0], [10, 9, 8, 7, 6, 0]]
SCORES = json.loads(Path(__file__).with_name("marian_scores.json").read_text())


@pytest.mark.parametrize("kind", SCORES)
def test_log_probabilities_are_those_of_marian(kind: str, tmp_path: Path) -> None:
    cell, rest = kind.split("-")
    activation, pre, _ = rest.partition("_pre")
    options = tiny.OPTIONS if cell == "rnn" else tiny.SELF_ATTENTION_OPTIONS
    options = options.replace("activation: relu", f"activation: {activation}")
    options += tiny.PRE_NORM_OPTIONS if pre else ""
    path = tmp_path / "model.bin"
    path.write_bytes(tiny.write_bin(tiny.stored(1, cell=cell, pre=pre), options))
    model = marian_bin.read(path)
    targets = [row["target"] for row in SCORES[kind]]
    compared = 1 if pre and cell == "self" else None
    for one, other in zip(greedy(model, SOURCES, 1.0), targets, strict=True):
        assert one[:compared] == other[:compared]
    for target, row, found in zip(
        targets, SCORES[kind], forced(model, SOURCES, targets), strict=True
    ):
        logits = found.astype(np.float64)
        scores = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        tokens = [*target, 0][: len(row["scores"])]  # includes eos if it was reached
        chosen = scores[np.arange(len(tokens)), tokens]
        np.testing.assert_allclose(chosen[:compared], row["scores"][:compared], atol=2e-5)
