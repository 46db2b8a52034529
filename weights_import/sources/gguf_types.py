"""The types of numbers in a GGUF file: those that are read, and the names of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from weights_import.errors import CheckpointError
from weights_import.sources import gguf_blocks
from weights_import.tensors import Float32, from_bfloat16

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Type:
    """A type of numbers: the numbers and the bytes of a block, and the floats of some blocks."""

    block: int
    nbytes: int
    floats: Callable[[Bytes], Float32]


def _as(kind: str) -> Callable[[Bytes], Float32]:
    """Floats of a type of NumPy; a number beyond float32 becomes infinite, and is reported."""

    def floats(content: Bytes) -> Float32:
        with np.errstate(over="ignore"):
            return content.view(kind).astype(np.float32)

    return floats


TYPES = {
    "F32": Type(1, 4, _as("<f4")),
    "F16": Type(1, 2, _as("<f2")),
    "BF16": Type(1, 2, lambda content: from_bfloat16(content.view("<u2"))),
    "F64": Type(1, 8, _as("<f8")),
    **{
        name: Type(*gguf_blocks.size_of(name), partial(gguf_blocks.floats, name))
        for name in gguf_blocks.KINDS
    },
}
CODES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1",
    10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS",
    17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS",
    24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0",
    35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0",
}  # fmt: skip


def type_of(name: str, code: int) -> Type:
    """The type of a tensor; raises CheckpointError for one that is not read."""
    named = CODES.get(code, f"number {code}")
    if named not in TYPES:
        raise CheckpointError(
            f"{name}: its numbers are of type {named}, which is not read; import a GGUF file of the"
            f" types {', '.join(TYPES)}, or the checkpoint in floats that it was made of"
        )
    return TYPES[named]
