"""Checks of imported models that the tests of several families share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from log_probabilities import log_probabilities
from numpy.typing import NDArray

from int8ref.engines.backends import load_engine
from tests.helpers.engines import paths
from weights_import.float_model import FloatModel
from weights_import.float_search import sample
from weights_import.forward import forced
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions

Text = tuple[Sequence[int], Sequence[int]]
"""The ids of a source, which is empty for a decoder alone, and of its translation."""


def written(model: FloatModel, count: int, most: int) -> list[Text]:
    """Return texts that a decoder alone writes by itself, without end marks."""
    return [([], text) for text in sample(model, count, most) if text]


def integer_loss(model: FloatModel, seen: Sequence[Text], new: Sequence[Text]) -> float:
    """Return by how many nats a token the integer model differs from the float model on `new`.

    `seen`: the texts that the integer model is calibrated on.  Each text of `new` gets an end mark.
    """
    program, tensors = lower(model, [s for s, _ in seen], [t for _, t in seen], LoweringOptions())
    engine = load_engine(program, tensors, "compiled")
    ended = [[*target, model.generation.eos] for _, target in new]
    starts = [model.generation.start] * len(new)
    found = engine.log_probabilities(paths([source for source, _ in new], starts, ended))
    nats = sum(map(sum, found)) / 2**20 * np.log(2)
    exact = sum(sum(log_probabilities(model, *text)) for text in new)
    return float(abs(exact - nats)) / sum(map(len, ended))


def assert_logits_of_transformers(model: FloatModel, folder: Path, target: Sequence[int]) -> None:
    """Assert that a decoder alone has the logits of an installed transformers in float32."""
    torch: Any = pytest.importorskip("torch", reason="the reference of transformers needs torch")
    transformers: Any = pytest.importorskip("transformers", reason="it is the reference")
    other = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        ids = torch.tensor([[model.generation.start, *target]])
        wanted: NDArray[np.float32] = other(ids).logits[0].numpy()
    (found,) = forced(model, [[]], [target])
    np.testing.assert_allclose(found, wanted, atol=1e-4)
