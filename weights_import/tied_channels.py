"""Scales of the channels of a matrix that makes both embeddings and logits, or of the embeddings of
an encoder alone.

An embedding may have a factor for each channel, and a norm has a gain for each channel.  Therefore
one matrix in integers serves both, although each channel k has a scale of its own:

    matrix[n, k] = integer[n, k] * scale / proportion[k]
    logit[n]     = sum_k integer[n, k] * (norm[k] / proportion[k]) * scale

The embeddings of an encoder alone make no logits, so that each channel uses all integers.
"""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from weights_import.arithmetic.column_sizes import column_sizes
from weights_import.arithmetic.extremes import extremes
from weights_import.float_program import FloatProgram, Operation
from weights_import.lowering.channel_scales import NORM_SPREAD, channel_scales
from weights_import.lowering.least_scales import SMALLEST
from weights_import.operations.embedding import Embedding
from weights_import.operations.linear import Linear
from weights_import.operations.norm import Norm
from weights_import.operations.soft_cap import SoftCap
from weights_import.tensors import Float32, Float64, Tensors

LARGEST = 64.0
"""The largest proportion."""


def proportions(
    program: FloatProgram, tensors: Tensors, grids: Container[str]
) -> dict[str, Float64]:
    """The proportion of each channel, by all names of the matrix; none unless there is such a
    matrix.

    Embeddings are lowered before calibration reaches the norm.  Therefore the gain stands for the
    largest values of the channels, because a norm gives all channels one size before the gain.
    No channel of the embeddings has a coarser step than with one scale for all channels.  A matrix
    on the grid of the checkpoint keeps it.
    """
    if program.output:
        return _full(program, tensors, grids)
    made = program.producers()
    logits = made[program.logits]
    if isinstance(logits, SoftCap):
        logits = made[logits.x]
    if not isinstance(logits, Linear) or not isinstance(norm := made[logits.x], Norm):
        return {}
    matrix = f"{logits.name}.weight"
    names = tensors.names_of(matrix)
    users = [one for one in program.operations if not names.isdisjoint(one.weights)]
    alone = program.consumers()[norm.out] == [logits]
    if not alone or len(names) < 2 or not all(_serves(one, logits) for one in users):
        return {}
    if any(name in grids for name in names):
        return {}
    gain = np.abs(tensors[f"{norm.out}.gain"].astype(np.float64))
    found = channel_scales(gain, column_sizes(tensors[matrix]), NORM_SPREAD)
    return dict.fromkeys(names, _at_least_as_fine(found, _largest(tensors[matrix])))


def _full(program: FloatProgram, tensors: Tensors, grids: Container[str]) -> dict[str, Float64]:
    """The proportions with which each channel of the embeddings uses all integers."""
    embeddings = [one for one in program.operations if isinstance(one, Embedding)]
    tables = {one.table for one in embeddings if one.table not in grids}
    return {name: _of_columns(tensors[name]) for name in sorted(tables)}


def _of_columns(table: Float32) -> Float64:
    """The largest number of a table over the largest of each column, at most LARGEST."""
    largest = _largest(table)
    least = max(float(largest.max()) / LARGEST, SMALLEST)
    return max(float(largest.max()), SMALLEST) / np.maximum(largest, least)


def _largest(table: Float32) -> Float64:
    """The largest magnitude of each column."""
    low, high = extremes(table)
    return np.maximum(high, -low).astype(np.float64)


def _at_least_as_fine(found: Float64, largest: Float64) -> Float64:
    """max(proportion[k], max_j(proportion[j] * largest[j]) / max_j(largest[j]))

    The step of channel k is max_j(proportion[j] * largest[j]) / (127 * proportion[k]).
    """
    step = float((found * largest).max()) / max(float(largest.max()), SMALLEST)
    return np.maximum(found, max(step, SMALLEST))


def _serves(operation: Operation, logits: Linear) -> bool:
    return operation is logits or isinstance(operation, Embedding)
