"""Tensors in the form that kernels read: packed weights, start values, one factor for each channel.

Native code reads addresses and checks nothing.  Therefore each array is made for one use of a
tensor.  Its key names the tensor and the use.  Its extent is checked against the extent that the
kernel reads (`Prepared`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.kernels.gemm.coarse_layout import BLOCK, Coarse, coarse_shape, pack_coarse, useful
from int8ref.kernels.gemm.layout import (
    PANEL,
    WIDE,
    narrow,
    pack,
    packed_shape,
    padded,
    start_values,
)
from int8ref.kernels.gemm.quads import usable
from int8ref.program.program import Program, Tensors
from int8ref.reference.linear import Linear
from int8ref.spec.instruction import Instruction, operands_of
from int8ref.spec.operands import PerChannel
from int8ref.spec.pair_sums import OFFSET
from int8ref.spec.scope import ValueType

LENGTHS = 16
"""Number of copies of the length of coarse weights, so that the next tensor in a file stays
aligned."""

Array = npt.NDArray[Any]


class Prepared:
    """The tensors of a valid Program in the form of its kernels.

    Each form of a tensor is made once, at its first use, and all code of the Program shares it.
    `kept` are weights that were packed before, and their start values (see `packed`).  Two threads
    must not use one `Prepared` at once.
    """

    def __init__(self, tensors: Tensors, types: dict[str, ValueType], kept: Tensors) -> None:
        self._tensors, self._types = tensors, types
        self._made = dict(kept)

    def operands(self, instruction: Instruction, plain: bool) -> dict[str, Array]:
        """Field -> array, for the tensor operands of an instruction.

        With `plain`, a weight is not packed, and its start values have 32 bits.
        """
        if isinstance(instruction, Linear):
            weight = self._plain(instruction.weight) if plain else self.packed(instruction.weight)
            product = {"weight": weight, "bias": self._start(instruction, plain)}
            return {**self._others(instruction), **product}
        return self._others(instruction)

    def quads(self, instruction: Linear, plain: bool) -> bool:
        """Whether a product sums quads in 16 bits (`kernels.gemm.quads`); never with `plain`."""
        if plain:
            return False
        if start_key(instruction, quads=True) in self._made:
            return True
        if start_key(instruction) in self._made:
            return False
        return usable(self._tensors[instruction.weight])

    def coarse(self, head: Linear) -> Coarse | None:
        """The coarse weights of the product that gives the logits; None if they are not useful."""
        keys = coarse_keys(head)
        if keys[0] not in self._made:  # the three keys exist together
            self._made |= coarse(head, self._tensors)
        if keys[0] not in self._made:
            return None
        n, k = self._tensors[head.weight].shape
        weight = _of_extent(self._made[keys[0]], coarse_shape(n, k), np.int8)
        start = _of_extent(self._made[keys[1]], (padded(n, BLOCK),), np.int32)
        return Coarse(weight, start, int(self._made[keys[2]][0]))

    def packed(self, name: str) -> npt.NDArray[np.int8]:
        """A weight in the form that products read."""
        tensor = self._tensors[name]
        shape = packed_shape(*tensor.shape)
        return self._made_once(packed_key(name), partial(pack, tensor), shape, np.int8)

    def _start(self, instruction: Linear, plain: bool) -> Array:
        quads, tensors = self.quads(instruction, plain), self._tensors
        key = start_key(instruction, quads, plain)
        shape = (padded(len(tensors[instruction.bias]), PANEL),)
        make = partial(start, instruction, tensors, quads, plain)
        return self._made_once(key, make, shape, np.int16, np.int32)

    def _others(self, instruction: Instruction) -> dict[str, Array]:
        """The tensors of an instruction, except the weight and the bias of a product."""
        width = self._types[instruction.names("result")[0]].width
        own = ("weight", "bias") if isinstance(instruction, Linear) else ()
        found = {}
        declared = dict(operands_of(type(instruction)))
        for field, kind, name in instruction.operands():
            if kind == "tensor" and name is not None and field not in own:
                repeated = isinstance(declared[field], PerChannel)
                found[field] = self._per_channel(name, width) if repeated else self._plain(name)
        return found

    def _plain(self, name: str) -> Array:
        """A tensor unchanged, C-contiguous."""
        tensor = self._tensors[name]
        make = partial(np.ascontiguousarray, tensor)
        return self._made_once(_key("plain", name), make, tensor.shape, tensor.dtype.type)

    def _per_channel(self, name: str, width: int) -> Array:
        """A tensor of 1 or `width` elements as `width` elements."""
        tensor = self._tensors[name]
        if tensor.shape == (width,):
            return self._plain(name)
        key, make = _key("per channel", name, width), partial(np.repeat, tensor, width)
        return self._made_once(key, make, (width,), tensor.dtype.type)

    def _made_once(
        self,
        key: str,
        make: Callable[[], Array],
        shape: tuple[int, ...],
        *kinds: type[np.integer[Any]],
    ) -> Array:
        """The array with this key, which is made at the first call; see `_of_extent`."""
        if key not in self._made:
            self._made[key] = make()
        return _of_extent(self._made[key], shape, *kinds)


def _of_extent(array: Array, shape: tuple[int, ...], *kinds: type[np.integer[Any]]) -> Array:
    """Return `array` if it has the extent that native code reads; otherwise raise RuntimeError."""
    if array.shape != shape or array.dtype not in kinds or not array.flags.c_contiguous:
        raise RuntimeError(f"prepared: {array.dtype} {array.shape}, not {shape}")
    return array


def linears(program: Program) -> list[Linear]:
    """The matrix products of a Program."""
    return [i for i in (*program.encoder, *program.decoder) if isinstance(i, Linear)]


def head(program: Program) -> Linear | None:
    """The product that gives the logits of a decoder; None for an encoder alone."""
    if not program.decoder:
        return None
    found = program.decoder[-1]
    assert isinstance(found, Linear)
    return found


def _key(use: str, *parts: str | int) -> str:
    """The key of a form of a tensor; two different forms never have the same key."""
    return json.dumps([use, *parts])


def packed_key(weight: str) -> str:
    """The key of a packed weight."""
    return _key("packed", weight)


def start_key(instruction: Linear, quads: bool = False, plain: bool = False) -> str:
    """Cache key of a linear's start values.  They differ for quad-packed, plain, and normally
    packed weights."""
    use = "plain start" if plain else "quads start" if quads else "start"
    return _key(use, instruction.weight, instruction.bias, instruction.bias_shift)


def start(
    instruction: Linear, tensors: Tensors, quads: bool = False, plain: bool = False
) -> npt.NDArray[np.int32] | npt.NDArray[np.int16]:
    """The start values of the accumulators of a product (`kernels.gemm.layout.start_values`).

    They have 16 bits, in units of 2^bias_shift, if they fit.  For a plain weight they have 32 bits.
    """
    bias = shifted_bias(instruction, tensors)
    wide = start_values(tensors[instruction.weight], bias, OFFSET if quads else None)
    units = None if plain else narrow(wide, instruction.bias_shift)
    return wide if units is None else units


def start_shift(instruction: Linear, start: Array) -> int:
    """The unit of start values for kernels: the shift, or WIDE."""
    return WIDE if start.dtype == np.int32 else instruction.bias_shift


def shifted_bias(instruction: Linear, tensors: Tensors) -> npt.NDArray[np.int32]:
    """The bias of a product in units of its accumulators."""
    return (tensors[instruction.bias].astype(np.int64) << instruction.bias_shift).astype(np.int32)


def coarse_keys(head: Linear) -> tuple[str, str, str]:
    """Keys of the parts of a `Coarse`."""
    parts = head.weight, head.bias, head.bias_shift
    return (
        _key("coarse weight", *parts),
        _key("coarse start", *parts),
        _key("coarse length", *parts),
    )


def coarse(head: Linear, tensors: Tensors) -> Tensors:
    """The coarse weights of a product by `coarse_keys`; empty if they are not useful."""
    weight, bias = tensors[head.weight], shifted_bias(head, tensors)
    if not useful(weight.shape[1], bias):
        return {}
    found = pack_coarse(weight, bias)
    parts = found.weight, found.start, np.full(LENGTHS, found.length, np.int32)
    return dict(zip(coarse_keys(head), parts, strict=True))
