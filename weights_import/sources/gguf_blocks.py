"""Blocks of quantised numbers in GGUF files, with 2 to 8 bits a number.

A block is some scales and then the numbers as small integers q, cut into groups:

    x = scale * q                           Q8_0, IQ4_NL
    x = scale * (q - half of the range)     Q4_0, Q5_0
    x = scale * q + least                   Q4_1, Q5_1
    x = scale * s * q                       Q3_K, Q6_K, IQ4_XS: an integer s for each group
    x = scale * s * q - least * m           Q2_K, Q4_K, Q5_K: integers s and m for each group

In IQ4_NL and IQ4_XS, q is a number of a table.  The scales are float16 and every product of a
scale, s and q has at most 25 bits, so that each x is rounded once to float32, in any order of the
products.  The repository of ggml defines the layouts (ggml-common.h, ggml-quants.c).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from weights_import.tensors import Float32

Bytes = NDArray[np.uint8]
Blocks = NDArray[Any]
Small = NDArray[np.int16]

SHORT, LONG = 32, 256
"""The numbers of a block of one group, and of a block of several groups."""
SCALE, LEAST = ("scale", "<f2"), ("least", "<f2")
LAYOUTS = {
    "Q4_0": [SCALE, ("low", "u1", 16)],
    "Q4_1": [SCALE, LEAST, ("low", "u1", 16)],
    "Q5_0": [SCALE, ("high", "u1", 4), ("low", "u1", 16)],
    "Q5_1": [SCALE, LEAST, ("high", "u1", 4), ("low", "u1", 16)],
    "Q8_0": [SCALE, ("integers", "i1", 32)],
    "IQ4_NL": [SCALE, ("low", "u1", 16)],
    "Q2_K": [("groups", "u1", 16), ("low", "u1", 64), SCALE, LEAST],
    "Q3_K": [("high", "u1", 32), ("low", "u1", 64), ("groups", "u1", 12), SCALE],
    "Q4_K": [SCALE, LEAST, ("groups", "u1", 12), ("low", "u1", 128)],
    "Q5_K": [SCALE, LEAST, ("groups", "u1", 12), ("high", "u1", 32), ("low", "u1", 128)],
    "Q6_K": [("low", "u1", 128), ("high", "u1", 64), ("groups", "i1", 16), SCALE],
    "IQ4_XS": [SCALE, ("high", "<u2"), ("groups", "u1", 4), ("low", "u1", 128)],
}  # fmt: skip
"""The fields of a block by types.  `low` are the lower bits of the numbers, `high` the upper ones,
and `groups` the integers of the groups."""
KINDS = {name: np.dtype(fields) for name, fields in LAYOUTS.items()}
WITH_LEAST = "Q4_1", "Q5_1"
CURVE = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.int16
)
"""The numbers of IQ4_NL and IQ4_XS."""


def size_of(name: str) -> tuple[int, int]:
    """The numbers and the bytes of a block of a type."""
    return LONG if name in GROUPED else SHORT, KINDS[name].itemsize


def floats(name: str, content: Bytes) -> Float32:
    """The numbers of blocks of a type.  A scale that is not finite gives numbers that are not."""
    blocks = content.view(KINDS[name])
    with np.errstate(invalid="ignore", over="ignore"):
        return _of_blocks(name, blocks).reshape(-1)


def _of_blocks(name: str, blocks: Blocks) -> Float32:
    """The numbers [blocks, groups, numbers of a group]."""
    scale = _column(blocks, "scale")
    if name not in GROUPED:
        found: Float32 = scale * _one_group(name, blocks)[:, None].astype(np.float32)
        return found + _column(blocks, "least") if name in WITH_LEAST else found
    integers, s, m = GROUPED[name](blocks)
    found = scale * s[..., None].astype(np.float32) * integers.astype(np.float32)
    return found if m is None else found - _column(blocks, "least") * m[..., None]


def _column(blocks: Blocks, field: str) -> Float32:
    """A number for each block, as [blocks, 1, 1]."""
    found: Float32 = blocks[field].astype(np.float32)[:, None, None]
    return found


def _parts(packed: NDArray[Any], bits: int, groups: int) -> Small:
    """The numbers of some bits that lie in bytes one above the other.

    The bytes are cut into `groups`, each of which has all lowest numbers, then all second ones.
    """
    shifts = np.arange(0, 8, bits).astype(np.uint8)[:, None]
    cut = packed.reshape(len(packed), groups, 1, -1)
    found: Small = (cut >> shifts & (1 << bits) - 1).astype(np.int16).reshape(len(packed), -1)
    return found


def _one_group(name: str, blocks: Blocks) -> Small:
    """The integers [blocks, numbers] of blocks of one group."""
    if name == "Q8_0":
        return blocks["integers"].astype(np.int16)
    q = _parts(blocks["low"], 4, 1)
    if name == "IQ4_NL":
        return CURVE[q]
    if name.startswith("Q5"):
        fifth = blocks["high"][:, :, None] >> np.arange(8).astype(np.uint8) & 1
        q = q + (fifth.reshape(len(q), -1).astype(np.int16) << 4)
    return q - {"Q4_0": 8, "Q5_0": 16}.get(name, 0)


Grouped = tuple[Small, Small, Small | None]
"""The integers [blocks, groups, numbers], and s and m of each group; None without m."""


def _q2(blocks: Blocks) -> Grouped:
    q = _parts(blocks["low"], 2, 2).reshape(-1, 16, 16)
    groups = blocks["groups"].astype(np.int16)
    return q, groups & 15, groups >> 4


def _q3(blocks: Blocks) -> Grouped:
    q = _parts(blocks["low"], 2, 2)
    q = q + 4 * _parts(blocks["high"], 1, 1) - 4
    packed = blocks["groups"]
    low, high = _parts(packed[:, :8], 4, 1), _parts(packed[:, 8:], 2, 1)
    return q.reshape(-1, 16, 16), low + 16 * high - 32, None


def _q4(blocks: Blocks) -> Grouped:
    return _parts(blocks["low"], 4, 4).reshape(-1, 8, 32), *_six_bits(blocks["groups"])


def _q5(blocks: Blocks) -> Grouped:
    q = _parts(blocks["low"], 4, 4) + 16 * _parts(blocks["high"], 1, 1)
    return q.reshape(-1, 8, 32), *_six_bits(blocks["groups"])


def _q6(blocks: Blocks) -> Grouped:
    q = _parts(blocks["low"], 4, 2) + 16 * _parts(blocks["high"], 2, 2) - 32
    return q.reshape(-1, 16, 16), blocks["groups"].astype(np.int16), None


def _iq4(blocks: Blocks) -> Grouped:
    q = CURVE[_parts(blocks["low"], 4, 8)].reshape(-1, 8, 32)
    low = _parts(blocks["groups"], 4, 4)
    high = blocks["high"][:, None] >> np.arange(0, 16, 2).astype(np.uint16) & 3
    return q, low + 16 * high.astype(np.int16) - 32, None


def _six_bits(packed: Bytes) -> tuple[Small, Small]:
    """The integers s and m of 8 groups, in 12 bytes.

    Four bytes have s of the first groups and four have m, each with the upper bits of the other
    groups above.  The last four bytes have the lower bits of s and of m of the other groups.
    """
    s, m, both = np.split(packed.astype(np.int16), 3, axis=1)
    later = both & 15 | s >> 6 << 4, both >> 4 | m >> 6 << 4
    first = s & 63, m & 63
    both_s, both_m = (np.concatenate(pair, axis=1) for pair in zip(first, later, strict=True))
    return both_s, both_m


GROUPED = {"Q2_K": _q2, "Q3_K": _q3, "Q4_K": _q4, "Q5_K": _q5, "Q6_K": _q6, "IQ4_XS": _iq4}
