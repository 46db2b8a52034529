"""Changes of tensors to weights that no good training gives."""

from __future__ import annotations

import numpy as np

from weights_import.tensors import Float32

FACTORS = [10.0**power for power in (-45, -38, -30, -20, -12, -6, -3, 3, 6, 9, 12, 18, 20, 25, 30)]


def one(tensor: Float32, factor: float) -> Float32:
    """Set one element in the middle to `factor`."""
    tensor = tensor.copy()
    tensor[tuple(size // 2 for size in tensor.shape)] = factor
    return tensor


def row(tensor: Float32, factor: float) -> Float32:
    tensor = tensor.copy()
    tensor[len(tensor) // 2] *= np.float32(factor)
    return tensor


def column(tensor: Float32, factor: float) -> Float32:
    tensor = tensor.copy()
    tensor[..., tensor.shape[-1] // 2] *= np.float32(factor)
    return tensor


def whole(tensor: Float32, factor: float) -> Float32:
    return tensor * np.float32(factor)


def constant(tensor: Float32, factor: float) -> Float32:
    return np.full_like(tensor, factor)
