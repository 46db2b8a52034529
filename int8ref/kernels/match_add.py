"""Compiled twin of `int8ref.reference.match_add`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.compile import kernel

VARIANTS = (
    {"exponent": "int8", "bias": "int16", "a": "int32", "b": "int16"},
    {"exponent": None, "bias": None, "a": "int32", "b": "int8"},
    {"exponent": None, "bias": None, "a": "int32", "b": "int16"},
    {"exponent": None, "bias": None, "a": "int16", "b": "int8"},
    {"exponent": None, "bias": None, "a": "int16", "b": "int16"},
)
"""The combinations of types that a Program may have (`reference.match_add`)."""


@kernel
def match_add(
    a, b, a_multiplier, b_multiplier, b_shift, shift, limit, exponent, bias, bias_shift, out
):
    """Add `a` and `b` on the scale of `out`, saturated to [-limit, limit].

    Both multipliers are [n].  Without an exponent there is no bias.
    """
    low, high = np.int64(-limit), np.int64(limit)
    s, b_up, up = np.int64(shift), np.int64(b_shift), np.int64(bias_shift)
    half = np.int64(1) << (s - np.int64(1))
    for r in range(a.shape[0]):
        left, right, target = a[r], b[r], out[r]
        for i in range(a.shape[1]):
            total = np.int64(left[i]) * np.int64(a_multiplier[i])
            if exponent is not None:
                total <<= np.int64(exponent[r])
                total += np.int64(bias[i]) << up
            total += np.int64(right[i]) * (np.int64(b_multiplier[i]) << b_up)
            target[i] = min(max((total + half) >> s, low), high)
