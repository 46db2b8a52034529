"""The hidden layer uses all 8 bits: the integer -127 means 0, and biases absorb the constant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from same_model import sentences, tiny_model

from int8ref.engines.backends import load_engine
from weights_import.calibrate import calibrate
from weights_import.emitter import Emitter, Scaled
from weights_import.float_forward import encode
from weights_import.float_model import FloatModel
from weights_import.lower import lower
from weights_import.options import Options


def emitter(model: FloatModel) -> Emitter:
    return Emitter(model, calibrate(model, sentences(model)), Options(), {})


def test_accumulators_do_not_depend_on_the_zero(tmp_path: Path) -> None:
    """W (q - zero) + b has equal bits for any integer that means 0, except for the bias."""
    model = tiny_model("standard", tmp_path)
    found = []
    for zero in (0, -127):
        emit = emitter(model)
        x = Scaled("encoder.0.ffn.inner", np.full(24, 0.01), zero=zero)
        out = emit.accumulate("encoder.0.ffn.outer", x)
        weight = emit.tensors["encoder.0.ffn.outer.weight"].astype(np.int64)
        shift = emit.sequence[-1].bias_shift
        bias = emit.tensors["encoder.0.ffn.outer.accumulator.bias"].astype(np.int64) << shift
        q = np.arange(24 * 5).reshape(5, 24) % 120 + zero
        found.append((q @ weight.T + bias, out.scale, 1 << shift))
    (plain, scale, a), (moved, same, b) = found
    np.testing.assert_array_equal(scale, same)
    assert np.abs(plain - moved).max() <= (a + b) / 2


@pytest.mark.parametrize("kind", ["standard", "integer", "recurrent"])
def test_hidden_layers_fill_the_range_and_are_right(kind: str, tmp_path: Path) -> None:
    model = tiny_model(kind, tmp_path)
    batch = sentences(model)
    program, tensors = lower(model, calibrate(model, batch), Options(clip="max"))
    seen = {}
    load_engine(program, tensors, "reference").session(batch, seen.setdefault)
    q = seen["encoder.0.ffn.inner"]
    exact: dict[str, list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]] = {}
    for sentence in batch:
        encode(model, [sentence], lambda name, x: exact.setdefault(name, []).append(x))
    hidden = np.concatenate(exact["encoder.0.ffn.inner"])
    assert q.min() == -127
    assert q.max() > 100
    assert np.mean((q == -127) == (hidden <= 0)) > 0.97
    alive = hidden.max(axis=0) > 0
    levels = q[:, alive].astype(np.float64) + 127
    slopes = (levels * hidden[:, alive]).sum(axis=0) / np.square(hidden[:, alive]).sum(axis=0)
    error = levels - slopes * hidden[:, alive]
    assert np.sqrt(np.square(error).mean() / np.square(levels).mean()) < 0.05
