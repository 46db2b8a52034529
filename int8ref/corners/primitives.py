"""Corner cases of the primitives (A1 to A9, the square root, the bit length)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from int8ref.golden.vectors import Array, Vectors
from int8ref.spec import arithmetic

PREFIX = "arithmetic."
"""The names of primitives in records begin with this word."""

INT32 = (-(2**31), 2**31 - 1)
POWERS = [2**bit for bit in range(63)]


def around(centres: list[int], low: int, high: int) -> list[int]:
    """Return each number with its neighbours, without repetition, inside a range."""
    found = {x + step for x in centres for step in (-1, 0, 1)}
    return sorted(x for x in found if low <= x <= high)


def signed(numbers: list[int]) -> list[int]:
    """Return the numbers and their negatives."""
    return sorted({*numbers, *(-x for x in numbers)})


def rounding_shift_right() -> Iterator[dict[str, Any]]:
    """Ties, neighbours of ties and largest numbers, for every shift."""
    for shift in range(63):
        half = 2**shift >> 1
        most = 2**63 - 1 - half
        ties = signed([half * odd for odd in (0, 1, 2, 3, 5, 7)])
        yield {"x": around([*ties, most, -most], -most, most), "shift": shift}


def saturate() -> Iterator[dict[str, Any]]:
    """Numbers at both ends and beside them, and ranges of one number."""
    for low, high in ((-127, 127), (-32767, 32767), (0, 127), (5, 5)):
        yield {"x": around([low, high, 0, -(2**31), 2**31, 2**62], -(2**62), 2**62), "low": low,
               "high": high}  # fmt: skip


def requantize() -> Iterator[dict[str, Any]]:
    """Ties of both signs, saturation, and the widest products."""
    yield {"acc": [1, 3, 5, -1, -3, -5, 2, -2, 0], "multiplier": 1, "shift": 1}
    yield {"acc": list(range(-9, 10)), "multiplier": 1 << 14, "shift": 16}
    yield {"acc": list(range(-9, 10)), "multiplier": 3, "shift": 2}
    yield {"acc": list(range(-140, 141)), "multiplier": 1, "shift": 0}
    yield {"acc": list(range(-280, 281)), "multiplier": 1, "shift": 1}
    ends = [*INT32, INT32[0] + 1, INT32[1] - 1, 2**30, -(2**30), 0, 1, -1]
    for multiplier in (0, 1, 2**15 - 1, 2**30, 2**31 - 1):
        for shift in (0, 1, 16, 31, 32, 46, 61, 62):
            yield {"acc": ends, "multiplier": multiplier, "shift": shift, "low": -32767,
                   "high": 32767}  # fmt: skip
    yield {"acc": ends, "multiplier": 1, "shift": 24, "low": 0, "high": 127}
    yield {"acc": ends, "multiplier": 1, "shift": 31, "low": -1, "high": 0}


def bit_length() -> Iterator[dict[str, Any]]:
    """Powers of two and their neighbours."""
    yield {"x": around([0, *POWERS, 2**63 - 1], 0, 2**63 - 1)}


def isqrt() -> Iterator[dict[str, Any]]:
    """Squares and their neighbours: roots of odd and even lengths, and the largest."""
    roots = around([0, *(2**bit for bit in range(31)), 46340, 65535, 2**31 - 1], 0, 2**31 - 1)
    yield {"x": around([root * root for root in roots] + [2**62 - 1], 0, 2**62 - 1)}


def reciprocal() -> Iterator[dict[str, Any]]:
    """Powers of two, their neighbours, and divisors that leave the largest rests."""
    yield {"x": around([*POWERS[:33], 3, 5, 7, 10, 1000, 46341, 3 << 30, 2**32 - 1], 1, 2**32 - 1)}


def exp2_negative() -> Iterator[dict[str, Any]]:
    """Every number, so that each bit of the coefficients and each inner rounding counts."""
    yield {"z": list(range(2**14 + 1))}


def exp2_factor() -> Iterator[dict[str, Any]]:
    """Every number of two octaves, and the ends of the others."""
    octaves = around([octave << 10 for octave in range(23)], 0, 22 << 10)
    yield {"z": sorted({*range(2 << 10), *octaves, *range(20 << 10, (22 << 10) + 1, 7)})}


def exp2_precise() -> Iterator[dict[str, Any]]:
    """Each octave: its ends and its middle.  Beyond 32 octaves the result is 0."""
    places = [octave << 20 for octave in [*range(35), 61, 62, 63, 64, 1000]]
    inner = [at + f for at in places[:34] for f in (349525, 524288, 1048575)]
    yield {"z": around([*places, *inner, 2**30], 0, 2**30)}


def tanh() -> Iterator[dict[str, Any]]:
    """Both signs, small numbers, the steep part, and the numbers that reach 2^30."""
    yield {"z": signed(around([0, *POWERS[:31], 3 << 20, 31 << 20, 33 << 20], 0, 2**30))}


def soft_cap() -> Iterator[dict[str, Any]]:
    """The clamp before the tanh at both ends, ties of the product, and the widest product."""
    ends = [*INT32, -1, 0, 1, 2**20, -(2**20), 99999, -99999]
    for multiplier, shift in ((1, 0), (1, 1), (3025, 0), (2**31 - 1, 62), (2**31 - 1, 0),
                              (2**30, 30), (0, 5)):  # fmt: skip
        yield {"x": ends, "multiplier": multiplier, "shift": shift}
    yield {"x": list(range(-9, 10)), "multiplier": 1 << 19, "shift": 1}
    yield {"x": list(range(-9, 10)), "multiplier": 1, "shift": 2}


def log2() -> Iterator[dict[str, Any]]:
    """Powers of two, their neighbours, and numbers whose result depends on dropped bits."""
    more = [3, 5, 6, 7, 10, 1000, 3 << 40, 5 << 57, (1 << 61) + (1 << 30), 2**62 - 1]
    more += [2040595106815731185, 2322456656889369651, 2578299666542098360, 1593581542284572329,
             2133273467, 63965532, 133801422, 572703272]  # fmt: skip
    yield {"x": around([*POWERS[:62], *more], 1, 2**62 - 1)}


PRIMITIVES: tuple[Callable[[], Iterator[dict[str, Any]]], ...] = (
    rounding_shift_right, saturate, requantize, bit_length, isqrt, reciprocal, exp2_negative,
    exp2_factor, exp2_precise, tanh, soft_cap, log2,
)  # fmt: skip
RESULTS = {"reciprocal": ("r", "k")}
"""The names of the results, if there is more than one."""


def add_primitives(vectors: Vectors) -> None:
    """Compute the cases of all primitives, and add them to vectors."""
    for primitive in PRIMITIVES:
        for number, given in enumerate(primitive()):
            _add(vectors, primitive.__name__, f"{number:02}", primitive.__doc__ or "", given)


def _add(vectors: Vectors, name: str, case: str, reason: str, given: dict[str, Any]) -> None:
    folder = f"corners/{PREFIX}{name}/{case}"
    parameters = inspect.signature(getattr(arithmetic, name)).parameters.values()
    usual = {p.name: p.default for p in parameters if p.default is not p.empty}
    constants = usual | {field: x for field, x in given.items() if isinstance(x, int)}
    operands = {f: np.array(x, np.int64) for f, x in given.items() if not isinstance(x, int)}
    found = getattr(arithmetic, name)(**operands, **constants)
    names = RESULTS.get(name, ("out",))
    results = dict(zip(names, found if len(names) > 1 else (found,), strict=True))
    parts: tuple[dict[str, Array], ...] = (operands, results)
    for arrays in parts:
        vectors.arrays |= {f"{folder}/{field}": array for field, array in arrays.items()}
    placed = [{field: f"{folder}/{field}" for field in arrays} for arrays in parts]
    vectors.records.append(
        {
            "op": f"{PREFIX}{name}",
            "sequence": "primitive",
            "step": None,
            "case": {"name": case, "reason": " ".join(reason.split())},
            "constants": constants,
            "operands": placed[0],
            "results": placed[1],
            "intermediates": {},
        }
    )
