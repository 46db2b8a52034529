"""Centred values: the function of the model stays, and only the permitted channels are centred."""

from __future__ import annotations

import re

import every_kind
import numpy as np
import pytest
from same_model import changed, compare, rewritten, text, values

from weights_import.operations.attention import Attention
from weights_import.sources import decoder_only

KEPT = "query_norm", "key_norm", "branch_norm"
"""Norms without a bias: no operation behind them adds a constant."""


def rotary(kind: str) -> bool:
    return kind in every_kind.LLAMAS


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_the_model_computes_what_it_did(kind: str) -> None:
    """With all changes of basis, as with centred values alone."""
    model = every_kind.random_model(kind)
    before = {name: tensor.copy() for name, tensor in model.tensors.items()}
    given = rewritten(model)
    compare(given)
    assert before.keys() == model.tensors.keys()
    for name, tensor in model.tensors.items():
        np.testing.assert_array_equal(tensor, before[name], err_msg=name)


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_the_middle_of_what_may_move_is_zero(kind: str) -> None:
    """Only softmax allows centred keys, because its scores may all change by one constant."""
    model = every_kind.random_model(kind)
    given = rewritten(model)
    moved = {
        name
        for name, x in given.rows.items()
        if np.abs(x.max(axis=0) + x.min(axis=0)).max() < 1e-5 * np.abs(x).max()
    }
    blocks = [name.removesuffix(".context") for name in given.rows if name.endswith("context")]
    norms = {name for name in given.rows if name.endswith("norm")}
    expected = {name for name in norms if not name.endswith(KEPT)}
    softmax = "degree" not in every_kind.TRANSFORMERS.get(kind, {})
    # Heads that share their values share one centre, which is the centre of no single channel.
    attentions = [one for one in model.program.operations if isinstance(one, Attention)]
    if all(one.heads.group == 1 for one in attentions):
        expected |= {f"{block}.context" for block in blocks}
    if softmax and not rotary(kind):
        expected |= {f"{block}.key" for block in blocks}
    if kind == "recurrent":  # the next sublayer has no bias at its end
        expected -= {"decoder.0.ffn.norm"}
    assert moved == expected


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_weights_stay_but_for_queries_and_keys(kind: str) -> None:
    names = changed(rewritten(every_kind.random_model(kind)))
    others = {name for name in names if not re.search(r"(query|key)\.weight$", name)}
    assert others
    assert all(name.endswith(".bias") for name in others)


@pytest.mark.parametrize("kind", ["pre-norm", "integer", "llama", "llama, biases, relu"])
def test_values_move_with_their_context(kind: str) -> None:
    model = every_kind.random_model(kind)
    given, before = rewritten(model), values(model, *text(model))
    for operation in model.program.operations:
        if not isinstance(operation, Attention):
            continue
        shifts = []
        for name in (operation.value, operation.out):
            shift = before[name] - given.rows[name]
            np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-4)
            shifts.append(shift[0].astype(np.float64))
        value, context = shifts
        np.testing.assert_allclose(operation.heads.shared(value), context, atol=1e-4)
        assert np.abs(context).max() > 0.01


def test_heads_that_share_their_values_share_their_middle() -> None:
    shape = every_kind.shape_of("llama")
    assert isinstance(shape, decoder_only.Shape)
    rows = rewritten(every_kind.random_model("llama")).rows["decoder.1.self.context"]
    heads = rows.reshape(len(rows), shape.heads.key_heads, shape.heads.group, shape.heads.size)
    middle = heads.max(axis=(0, 2)) + heads.min(axis=(0, 2))
    assert np.abs(middle).max() < 1e-5 * np.abs(rows).max()
