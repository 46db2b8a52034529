"""Checks that a rewritten model computes the function of the original model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import tiny_llama
import tiny_marian
import tiny_training

from weights_import import sources
from weights_import.calibrate import Ranges, calibrate
from weights_import.float_forward import forced
from weights_import.float_model import FloatModel

LLAMAS = {"llama": "llama", "rotary, own heads": "tied, own heads"}
KINDS = ("recurrent", *LLAMAS, *tiny_training.KINDS)


def tiny_model(kind: str, folder: Path) -> FloatModel:
    """Return a random model of any kind.  Its biases, if it has any, are not zero."""
    if kind == "recurrent":
        return tiny_marian.random_model(3)
    if kind in LLAMAS:
        return sources.read(tiny_llama.write(folder, **tiny_llama.CHANGES[LLAMAS[kind]]))
    return sources.read(tiny_training.write(folder, **tiny_training.KINDS[kind]))


def sentences(model: FloatModel) -> list[list[int]]:
    random = np.random.default_rng(0)
    eos, size = model.architecture.eos, model.architecture.target_vocabulary
    return [[*random.integers(4, size, random.integers(1, 20)).tolist(), eos] for _ in range(40)]


def copied(model: FloatModel) -> tuple[FloatModel, Ranges]:
    """Return a model to rewrite, and the ranges of its values with all rows."""
    ranges = calibrate(model, sentences(model), rows=10**6)
    return replace(model, tensors=dict(model.tensors), grids=dict(model.grids)), ranges


def compare(model: FloatModel, rewritten: FloatModel, ranges: Ranges) -> None:
    """Assert that the logits are equal, and that the ranges belong to the rewritten model."""
    batch = sentences(model)
    alone = model.architecture.encoder_layers == 0
    observed = calibrate(rewritten, batch, rows=10**6)
    sources, targets = ([[]] * 5, batch[:5]) if alone else (batch[:5], [[5, 6, 7]] * 5)
    for old, new in zip(
        forced(model, sources, targets), forced(rewritten, sources, targets), strict=True
    ):
        np.testing.assert_allclose(new, old, atol=2e-4 * np.abs(old).max())
    assert observed.maxima.keys() == ranges.maxima.keys()
    for name, maxima in observed.maxima.items():
        size = max(float(maxima.max()), 1.0)
        np.testing.assert_allclose(ranges.maxima[name], maxima, atol=2e-3 * size, err_msg=name)
        np.testing.assert_allclose(
            ranges.samples[name], observed.samples[name], atol=2e-3 * size, err_msg=name
        )
