"""Corner cases of `argmax`."""

from __future__ import annotations

from int8ref.corners.case import INT32, Case, case

LEAST, MOST = INT32


def cases() -> list[Case]:
    """Return the cases."""
    return [
        case("argmax", "equal", "the last of equal logits is taken",
             x=[[5, 5, 5], [1, 5, 5], [5, 1, 5], [-9, -7, -7]]),
        case("argmax", "negative", "the search begins with 0",
             x=[[-5, -3, -4], [LEAST, LEAST, -MOST], [LEAST, LEAST, LEAST]]),
        case("argmax", "far", "a comparison by a difference overflows",
             x=[[LEAST, MOST, 0], [MOST, LEAST, 0], [-2, MOST, LEAST], [MOST, -1, LEAST]]),
        case("argmax", "one_column", "a row of one column", x=[[LEAST], [0], [MOST]]),
        case("argmax", "near", "logits are compared with fewer bits",
             x=[[1 << 24, (1 << 24) + 1, 0], [MOST - 1, MOST, MOST - 2], [0, 1, 65536]]),
        case("argmax", "last", "the last columns are left out",
             x=[[0] * 32 + [1], [1] + [0] * 32, [0] * 16 + [1] + [0] * 16]),
        case("argmax", "wide", "an index has 8 bits",
             x=[[0] * 300 + [7] + [0] * 9, [7] + [0] * 309, [0] * 255 + [1] + [0] * 54]),
        case("argmax", "equal_far", "of equal logits in different blocks, the last is taken",
             x=[[0, 9] + [0] * 30 + [9] * 8, [0] * 31 + [9] * 9]),
    ]  # fmt: skip
