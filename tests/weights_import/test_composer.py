"""What readers compose: the names of tensors, and everything that is wrong with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import every_kind
import numpy as np
import pytest
import random_float_model
import tiny_marian as tiny

from weights_import.composer import Composer, Normed
from weights_import.errors import CheckpointError
from weights_import.float_program import FloatProgram
from weights_import.operations.heads import Heads
from weights_import.sources import decoder_only, encoder_decoder, rotary_heads
from weights_import.tensors import Float32, Tensors

NORM = Normed("l2", 1e-6)


def composed(tensors: dict[str, Float32], unused: list[str]) -> tuple[FloatProgram, Tensors]:
    """Compose tiny Marian's model of these tensors."""
    composer = Composer(tensors.get, tiny.SHAPE.d_model, NORM)
    return composer.finish(encoder_decoder.compose(composer, tiny.SHAPE), unused)


def test_every_bad_tensor_is_told() -> None:
    model = tiny.random_model(0)
    tensors = dict(model.tensors)
    assert composed(tensors, [])[0] == model.program
    del tensors["output.bias"], tensors["decoder.0.ssru.cell.bias"]
    composed(tensors, [])
    del tensors["output.weight"]
    tensors["source_embedding"] = tensors["source_embedding"].T
    wider: Any = np.ones(8)
    tensors["encoder.1.ffn.norm.gain"] = wider
    tensors["encoder.0.ffn.norm.gain"][2] = np.inf
    with pytest.raises(CheckpointError) as caught:
        composed(tensors, ["extra"])
    for part in (
        "5 bad tensors",
        "missing output.weight [11, 8]",
        "unused extra",
        "wrong shape source_embedding [8, 11], expected [11, 8]",
        "wrong type encoder.1.ffn.norm.gain float64",
        "not finite encoder.0.ffn.norm.gain",
    ):
        assert part in str(caught.value)


def names_of(model_shape: encoder_decoder.Shape, optional: bool) -> set[str]:
    return set(random_float_model.random_model(model_shape, optional=optional).tensors)


def test_names_of_a_layer() -> None:
    names = names_of(tiny.SHAPE, True)
    assert len(names) == 4 + 2 * 16 + 2 * (6 + 10 + 6)
    assert tiny.random_model(0).tensors.shape("encoder.1.ffn.inner.weight") == (12, 8)
    kept = names_of(tiny.SHAPE, False)
    missing = {name for name in names - kept if "ffn" not in name and "cross" not in name}
    assert {"decoder.0.ssru.cell.bias", "decoder.1.ssru.cell.bias", "output.bias"} <= missing
    assert all(name.endswith("bias") for name in missing)


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_operations_read_exactly_the_tensors(kind: str) -> None:
    model = every_kind.random_model(kind)
    read = {name for operation in model.program.operations for name in operation.weights}
    assert read >= set(model.tensors)
    assert {name for name in read - set(model.tensors) if not name.endswith(".bias")} == set()


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_the_logits_come_last(kind: str) -> None:
    """The forward pass keeps the value of the last operation."""
    program = every_kind.random_model(kind).program
    assert program.operations[-1].out == program.logits
    assert program.logits == ("output.capped" if kind == "llama, norms of heads" else "output")


def test_sizes_that_are_refused() -> None:
    changes = {"d_model": 0, "heads": -1, "d_ffn": 0, "decoder_layers": 0}
    with pytest.raises(CheckpointError) as caught:
        replace(tiny.SHAPE, **changes)
    for name, value in changes.items():
        assert f"{name}={value} is not positive" in str(caught.value)
    with pytest.raises(CheckpointError, match="d_model=8 is not divisible by heads=3"):
        replace(tiny.SHAPE, heads=3)


@pytest.mark.parametrize("width", [2, 7])
def test_sinusoids_need_an_even_width(width: int) -> None:
    with pytest.raises(CheckpointError, match=f"d_model={width} has no sinusoidal positions"):
        Composer({}.get, width, NORM).sinusoids()


def test_heads_that_are_no_groups() -> None:
    shape = every_kind.shape_of("llama")
    assert isinstance(shape, decoder_only.Shape)
    composer = random_float_model.RandomComposer(0, 8, NORM, optional=False)
    with pytest.raises(CheckpointError, match=r"context: heads=3 are no groups of 2"):
        decoder_only.compose(composer, replace(shape, heads=Heads(3, 2, 2)))


def test_more_pairs_than_a_head_has() -> None:
    with pytest.raises(CheckpointError, match="rotary has 3 pairs of columns in heads of 4"):
        rotary_heads.heads_of(2, 2, 4, (1.0, 0.5, 0.25))


def test_frequencies() -> None:
    """base^(-2 i / size of a head)"""
    found = rotary_heads.frequencies(500.0, 6)
    np.testing.assert_allclose(found, [1, 500 ** (-1 / 3), 500 ** (-2 / 3)], rtol=1e-15)


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_every_value_has_one_producer(kind: str) -> None:
    names = [operation.out for operation in every_kind.random_model(kind).program.operations]
    assert len(names) == len(set(names))
