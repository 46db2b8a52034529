"""Log-probabilities of a given translation by a float model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weights_import.float_model import FloatModel
from weights_import.forward import forced


def log_probabilities(
    model: FloatModel, source: Sequence[int], target: Sequence[int]
) -> list[float]:
    """Return log P of each token of the target, and of the end of the sentence."""
    (found,) = forced(model, [source], [target])
    logits = found.astype(np.float64)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    path = [*target, model.generation.eos]
    return [float(p) for p in logits[range(len(path)), path]]
