"""Weights in packed form, kept in the cache: packed once, then mapped, and shared by processes.

A file is of one model (the digest of its file), one layout (the sources that pack), and one CPU,
which the start values depend on.  It is a container like a model's, with a digest of its own; where
it is missing, damaged or not what the program needs, the weights are packed anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import numpy as np

from int8ref import container, storage
from int8ref.container import ModelFileError
from int8ref.kernels.gemm.coarse_layout import BLOCK, coarse_shape, useful
from int8ref.kernels.gemm.layout import PANEL, pack, packed_shape, padded
from int8ref.machine import native
from int8ref.machine.cpu import identity
from int8ref.machine.prepare import (
    LENGTHS,
    coarse,
    coarse_names,
    head,
    linears,
    shifted_bias,
    start,
    start_name,
)
from int8ref.program import Program, Tensors
from int8ref.reference.linear import Linear

METADATA = "int8ref.packed"
SOURCES = (
    "machine/prepare.py",
    "kernels/gemm/layout.py",
    "kernels/gemm/coarse_layout.py",
    "kernels/gemm/target.py",
)
ALIGNMENT = 64

_log = logging.getLogger(__name__)


def weights(program: Program, tensors: Tensors, digest: str) -> Tensors:
    """Packed weights by the names of the tensors, start values by `prepare.start_name`, and the
    coarse weights of the head by `prepare.coarse_names`.

    They are views of a mapped file, or, where none can be kept, arrays.
    """
    key = _key(digest)
    path = storage.cache_folder().joinpath(f"packed-{key[:32]}.safetensors")
    found = _read(path, key, program, tensors)
    if found is None:
        found = _pack(program, tensors)
        if _write(path, key, found):
            found = _read(path, key, program, tensors) or found
    return found


def _key(digest: str) -> str:
    """Digest of the model's file and of what else packed weights depend on."""
    root = Path(native.__file__).parent.parent
    sources = [hashlib.sha256(root.joinpath(name).read_bytes()).hexdigest() for name in SOURCES]
    return hashlib.sha256(json.dumps([digest, *sources, *identity()]).encode()).hexdigest()


def _pack(program: Program, tensors: Tensors) -> Tensors:
    found: Tensors = {}
    for product in linears(program):
        if product.weight not in found:
            found[product.weight] = pack(tensors[product.weight])
        found[start_name(product)] = start(product, tensors)
    return found | coarse(head(program), tensors)


def _read(path: Path, key: str, program: Program, tensors: Tensors) -> Tensors | None:
    """What is in a file, or None where there is none or it is not what was kept."""
    try:
        contents = container.unpack(container.map_file(path), METADATA)
    except ModelFileError as error:
        if path.exists():
            _log.info("%s: %s; packing the weights again", path, error)
        return None
    sound = contents.document == key and all(
        _is(contents.tensors.get(name), np.int8, packed_shape(n, k))
        and _is(contents.tensors.get(start_name(product)), np.int32, (padded(n, PANEL),))
        for product in linears(program)
        for name, (n, k) in [(product.weight, tensors[product.weight].shape)]
    )
    sound = sound and _holds_coarse(contents.tensors, head(program), tensors)
    return contents.tensors if sound else None


def _holds_coarse(found: Tensors, head: Linear, tensors: Tensors) -> bool:
    n, k = tensors[head.weight].shape
    if not useful(k, shifted_bias(head, tensors)):
        return True
    weight, start, length = (found.get(name) for name in coarse_names(head))
    return (
        _is(weight, np.int8, coarse_shape(n, k))
        and _is(start, np.int32, (padded(n, BLOCK),))
        and _is(length, np.int32, (LENGTHS,))
    )


def _is(array: container.Array | None, dtype: type, shape: tuple[int, ...]) -> bool:
    return array is not None and array.dtype == dtype and array.shape == shape


def _write(path: Path, key: str, packed: Tensors) -> bool:
    """Keep packed weights; whether that was possible."""
    try:
        content = container.pack(packed, METADATA, json.dumps(key), ALIGNMENT)
    except ModelFileError as error:
        _log.info("packed weights cannot be kept: %s", error)
        return False
    return storage.keep(path, content, "packed weights")
