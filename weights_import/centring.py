"""Values in the middle of int8: a constant a channel, which the biases around it take up.

Symmetric int8 wastes a part of its range on a channel that lies to one side of zero.  The bias of
the producer moves the middle of such a channel to zero, and whatever uses the value adds the
constant again to a bias of its own: the model computes what it did, with as many operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from weights_import.calibrate import Ranges
from weights_import.float_model import Float32, FloatModel

BRANCH_ENDS = ("output", "outer")
"""The product at the end of a residual branch, the one that can add a constant to the sum."""


def centre_values(model: FloatModel, ranges: Ranges, products: Mapping[str, Sequence[str]]) -> None:
    """Rewrite biases, and what is known of the values they move, in place.

    `products`: the products that each value is an input of.  Moved are

    keys      where a softmax follows: q . (k - c) differs from q . k by the same for all keys,
              unless rotary positions turn c
    values    with the context that they are averaged to; the output projection adds W c
    norms     the products add W c; where the norm also begins the next residual (post-norm), the
              end of that branch adds c.  One whose branch ends without a bias (SSRU) stays.
    """
    suffix = ".query.weight"
    for block in [name.removesuffix(suffix) for name in model.tensors if name.endswith(suffix)]:
        architecture = model.architecture
        if architecture.attention == "softmax" and not architecture.rotary:
            add_bias(model, f"{block}.key", -move_to_centre(ranges, f"{block}.key"))
        # Heads that share their values share what moves them.
        heads = architecture.heads // architecture.group, architecture.group
        centre = move_to_centre(ranges, f"{block}.context", heads)
        values = centre.reshape(*heads, -1)[:, 0].ravel()
        ranges.replace(f"{block}.value", ranges.samples[f"{block}.value"] - values)
        add_bias(model, f"{block}.value", -values)
        add_product(model, f"{block}.output", centre)
    for name, parts in products.items():
        if name.endswith(".norm") and parts:
            centre_norm(model, ranges, name, parts)


def centre_norm(model: FloatModel, ranges: Ranges, name: str, parts: Sequence[str]) -> None:
    """Move the norm `name`, which the products `parts` use."""
    block = parts[0].rpartition(".")[0]
    branches = [f"{block}.{end}" for end in BRANCH_ENDS if f"{block}.{end}.weight" in model.tensors]
    begins_residual = model.architecture.norm_position == "post" and stack(name) == stack(block)
    if begins_residual and not branches:
        return
    centre = move_to_centre(ranges, name)
    add_bias(model, name, -centre)
    for part in parts:
        add_product(model, part, centre)
    if begins_residual:
        add_bias(model, branches[0], centre)


def move_to_centre(ranges: Ranges, name: str, heads: tuple[int, int] = (1, 1)) -> Float32:
    """Subtract the middle between the least and the largest value of each channel: [features].

    With `heads` = (groups, size of a group), the channels of all heads of a group have one middle.
    """
    x = ranges.samples[name]
    high = x.max(axis=0).reshape(*heads, -1).max(axis=1, keepdims=True)
    low = x.min(axis=0).reshape(*heads, -1).min(axis=1, keepdims=True)
    middle: Any = (high + low) / 2  # float32, although NumPy 2.5 declares float64
    centre: Float32 = middle.repeat(heads[1], axis=1).ravel()
    ranges.replace(name, x - centre)
    return centre


def add_product(model: FloatModel, name: str, constant: Float32) -> None:
    """Let product `name` add what it makes of `constant`."""
    add_bias(model, name, model.tensors[f"{name}.weight"] @ constant)


def add_bias(model: FloatModel, name: str, constant: Float32) -> None:
    bias = model.tensors.get(f"{name}.bias", np.float32(0))
    model.tensors[f"{name}.bias"] = bias + constant


def stack(name: str) -> str:
    return name.partition(".")[0]
