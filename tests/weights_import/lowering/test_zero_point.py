"""The hidden layer uses all 8 bits: the integer -127 means 0, and biases absorb the constant."""

from __future__ import annotations

from typing import Any

import every_kind
import numpy as np
import pytest
from numpy.typing import NDArray
from same_model import rewritten, text, values

from int8ref.engines.backends import load_engine
from int8ref.reference.linear import Linear
from weights_import.lower import lower
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.options import LoweringOptions
from weights_import.lowering.products import accumulate
from weights_import.lowering.scaled import Scaled

SIZES = every_kind.Sizes(width=16, hidden=24, vocabulary=31)


def test_accumulators_do_not_depend_on_the_zero() -> None:
    """W (q - zero) + b has equal bits for any integer that means 0, except for the bias."""
    given = rewritten(every_kind.random_model("pre-norm", sizes=SIZES)).emitter
    found = []
    each = np.arange(24) - 127
    for zero in (0, -127, each):
        emit = Emitter(given.model, given.observed, given.options)
        x = Scaled("encoder.0.ffn.hidden", np.full(24, 0.01), zero=zero)
        out = accumulate(emit, "encoder.0.ffn.outer", x)
        weight = emit.tensors["encoder.0.ffn.outer.weight"].astype(np.int64)
        (product,) = emit.encoder
        assert isinstance(product, Linear)
        bias = emit.tensors["encoder.0.ffn.outer.accumulator.bias"].astype(np.int64)
        q = np.arange(24 * 5).reshape(5, 24) % 120 + zero
        sums = q @ weight.T + (bias << product.bias_shift)
        found.append((sums, out.scale, 1 << product.bias_shift))
    (plain, scale, a), *others = found
    for moved, same, b in others:
        np.testing.assert_array_equal(scale, same)
        assert np.abs(plain - moved).max() <= (a + b) / 2


@pytest.mark.parametrize("kind", ["pre-norm", "integer", "recurrent"])
def test_hidden_layers_fill_the_range_and_are_right(kind: str) -> None:
    model = every_kind.random_model(kind, sizes=SIZES, fill=every_kind.trained)
    sources, targets = text(model)
    program, tensors = lower(model, sources, targets, LoweringOptions(positions=16))
    seen: dict[str, NDArray[Any]] = {}
    load_engine(program, tensors, "reference").session(sources, seen.__setitem__)
    q = seen["encoder.0.ffn.hidden"]
    hidden = values(model, sources, targets)["encoder.0.ffn.hidden"]
    assert q.min() == -127
    assert q.max() > 100
    assert np.mean((q == -127) == (hidden <= 0)) > 0.97
    alive = hidden.max(axis=0) > 0
    levels = q[:, alive].astype(np.float64) + 127
    slopes = (levels * hidden[:, alive]).sum(axis=0) / np.square(hidden[:, alive]).sum(axis=0)
    error = levels - slopes * hidden[:, alive]
    assert np.sqrt(np.square(error).mean() / np.square(levels).mean()) < 0.05
