"""Packed weights in the cache: packed once, then mapped, and shared by all processes.

A file belongs to one model (the digest of its file), to one layout (the sources that pack), and to
one CPU, because the start values depend on the CPU.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial

import numpy as np

from int8ref.files import cached
from int8ref.files.container import Array
from int8ref.host import installed
from int8ref.host.cpu import identity
from int8ref.kernels.gemm.coarse_layout import BLOCK, coarse_shape, useful
from int8ref.kernels.gemm.layout import PANEL, pack, packed_shape, padded
from int8ref.kernels.gemm.quads import usable
from int8ref.machine.model.prepare import (
    LENGTHS,
    coarse,
    coarse_keys,
    head,
    linears,
    packed_key,
    shifted_bias,
    start,
    start_key,
)
from int8ref.program.program import Program, Tensors
from int8ref.reference.linear import Linear

KIND = "packed"
SOURCES = (
    "host/arm.py",
    "host/cpu.py",
    "machine/model/prepare.py",
    "kernels/gemm/layout.py",
    "spec/pair_sums.py",
    "kernels/gemm/coarse_layout.py",
    "kernels/gemm/target.py",
)


def weights(program: Program, tensors: Tensors, digest: str, name: str) -> Tensors:
    """The packed weights, start values and coarse weights of a Program.

    The keys are `prepare.packed_key`, `prepare.start_key`, and for the head `prepare.coarse_keys`.
    The tensors are views of a mapped file, or arrays if no file can be stored.  `digest` and `name`
    belong to the model.
    """
    wanted, make = partial(_holds, program, tensors), partial(_pack, program, tensors)
    return cached.kept(KIND, name, _key(digest), wanted, make)


def _key(digest: str) -> str:
    """Digest of the model's file and of everything else on which packed weights depend."""
    root = installed.PACKAGE
    sources = [hashlib.sha256(root.joinpath(name).read_bytes()).hexdigest() for name in SOURCES]
    return hashlib.sha256(json.dumps([digest, *sources, *identity()]).encode()).hexdigest()


def _pack(program: Program, tensors: Tensors) -> Tensors:
    found: Tensors = {}
    for product in linears(program):
        if packed_key(product.weight) not in found:
            found[packed_key(product.weight)] = pack(tensors[product.weight])
        quads = usable(tensors[product.weight])
        found[start_key(product, quads)] = start(product, tensors, quads)
    last = head(program)
    if last is None:
        return found
    # The weight of the head is also used unpacked.
    found[start_key(last, plain=True)] = start(last, tensors, plain=True)
    return found | coarse(last, tensors)


def _holds(program: Program, tensors: Tensors, found: Tensors) -> bool:
    """Whether `found` has the shapes and types of the packed weights of a program."""
    return _holds_coarse(head(program), tensors, found) and all(
        _is(found.get(packed_key(product.weight)), np.int8, packed_shape(n, k))
        and any(
            _is(found.get(start_key(product, quads)), dtype, (padded(n, PANEL),))
            for quads in (False, True)
            for dtype in (np.int16, np.int32)
        )
        for product in linears(program)
        for n, k in [tensors[product.weight].shape]
    )


def _holds_coarse(head: Linear | None, tensors: Tensors, found: Tensors) -> bool:
    if head is None:
        return True
    n, k = tensors[head.weight].shape
    if not useful(k, shifted_bias(head, tensors)):
        return True
    weight, start, length = (found.get(name) for name in coarse_keys(head))
    return (
        _is(weight, np.int8, coarse_shape(n, k))
        and _is(start, np.int32, (padded(n, BLOCK),))
        and _is(length, np.int32, (LENGTHS,))
    )


def _is(array: Array | None, dtype: type, shape: tuple[int, ...]) -> bool:
    return array is not None and array.dtype == dtype and array.shape == shape
