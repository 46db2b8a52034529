"""Centred values: the function of the model stays, and only the permitted channels are centred."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from same_model import KINDS, compare, copied, tiny_model

from weights_import.centring import centre_values
from weights_import.lower import consumers, last_norm


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_computes_what_it_did(kind: str, tmp_path: Path) -> None:
    """Only softmax allows centred keys, because its scores may all change by one constant."""
    model = tiny_model(kind, tmp_path)
    rewritten, ranges = copied(model)
    products = consumers(model.architecture) | {last_norm(model.architecture): ["output"]}
    centre_values(rewritten, ranges, products)
    compare(model, rewritten, ranges)
    moved = {
        name
        for name, x in ranges.samples.items()
        if np.abs(x.max(axis=0) + x.min(axis=0)).max() < 1e-5 * np.abs(x).max()
    }
    blocks = [name.removesuffix(".context") for name in ranges.samples if name.endswith("context")]
    norms = {name for name in ranges.samples if name.endswith(".norm")}
    architecture = model.architecture
    turned = architecture.attention != "softmax" or architecture.rotary
    # Heads that share their values share one centre, which is the centre of no single channel.
    expected = norms | {f"{block}.context" for block in blocks if architecture.group == 1}
    expected |= {f"{block}.key" for block in blocks if not turned}
    if kind == "recurrent":  # the next sublayer has no bias at its end
        expected -= {"decoder.0.ffn.norm"}
    assert moved == expected


def test_values_move_with_their_context(tmp_path: Path) -> None:
    model = tiny_model("standard", tmp_path)
    rewritten, ranges = copied(model)
    before = dict(ranges.samples)
    centre_values(rewritten, ranges, {})
    for part in ("value", "context"):
        name = f"encoder.1.self.{part}"
        shift = before[name] - ranges.samples[name]
        np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-5)
    value = before["encoder.1.self.value"] - ranges.samples["encoder.1.self.value"]
    np.testing.assert_allclose(value[0], shift[0], atol=1e-5)
    assert np.abs(shift[0]).max() > 0.01
