"""Architecture and tensor declarations."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny_marian as tiny

from weights_import.float_model import CheckpointError, declare


def test_everything_unsupported_is_told_at_once() -> None:
    changes: dict[str, Any] = {
        "decoder_cell": "gru", "norm": "batch", "norm_position": "sandwich",
        "attention": "linear", "activation": "tanh", "heads": 3, "eos": 11, "start": -2,
        "encoder_layers": -1, "decoder_layers": 0, "degree": 7, "max_positions": -1,
    }  # fmt: skip
    with pytest.raises(CheckpointError) as caught:
        replace(tiny.ARCHITECTURE, **changes)
    for name, value in changes.items():
        assert f"{name}={value!r}" in str(caught.value)


@pytest.mark.parametrize("d_model", [0, -4, 2, 7])
def test_positions_need_an_even_width(d_model: int) -> None:
    with pytest.raises(CheckpointError, match=f"d_model={d_model}"):
        replace(tiny.ARCHITECTURE, d_model=d_model, heads=1)


def test_validate_lists_every_bad_tensor() -> None:
    model = tiny.random_model(0)
    model.validate()
    del model.tensors["output.bias"], model.tensors["decoder.0.ssru.cell.bias"]
    model.validate()
    del model.tensors["output.weight"]
    model.tensors["extra"] = np.zeros(3, np.float32)
    model.tensors["source_embedding"] = model.tensors["source_embedding"].T
    model.tensors["encoder.1.ffn.norm.gain"] = np.ones(8)  # type: ignore[assignment]
    model.tensors["encoder.0.ffn.norm.gain"][2] = np.inf
    with pytest.raises(CheckpointError) as caught:
        model.validate()
    for part in (
        "5 bad tensors",
        "missing output.weight [11, 8]",
        "unused extra [3]",
        "wrong shape source_embedding [8, 11], expected [11, 8]",
        "wrong type encoder.1.ffn.norm.gain float64",
        "not finite encoder.0.ffn.norm.gain",
    ):
        assert part in str(caught.value)


def test_declared_names_of_a_layer() -> None:
    names = declare(tiny.ARCHITECTURE)
    assert len(names) == 4 + 2 * 16 + 2 * (6 + 10 + 6)
    assert names["encoder.1.ffn.inner.weight"].shape == (12, 8)
    assert [name for name, tensor in names.items() if not tensor.required] == [
        "decoder.0.ssru.cell.bias", "decoder.1.ssru.cell.bias", "output.bias",
    ]  # fmt: skip


def test_position_table() -> None:
    table = tiny.random_model(0).position_table("source", 40)
    assert table.shape == (40, 8)
    assert table.dtype == np.float32
    for position in range(40):
        for i in range(4):
            angle = position * 10000 ** (-i / 3)
            assert table[position, i] == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[position, 4 + i] == pytest.approx(math.cos(angle), abs=1e-6)


def test_a_message_is_one_line_of_printable_characters() -> None:
    """Names of a file may contain line feeds, terminal escapes or half a surrogate pair."""
    told = str(CheckpointError("unused a\nb\x1b[31m\ud800 \u00e9" + "x" * 10_000))
    assert told.startswith("unused a\\nb\\x1b[31m\\ud800 \u00e9xxx")
    assert told.isprintable()
    assert len(told) < 9000
