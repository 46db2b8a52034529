"""Corner cases of `append`."""

from __future__ import annotations

import numpy as np

from int8ref.corners.case import Case, case, spread


def cases() -> list[Case]:
    """Return the cases."""
    x = spread("int8", (2, 5), -128, 127)
    return [
        case("append", "first_step", "a history without a step is refused",
             x=x, column=0, history=np.zeros((2, 0, 5), np.int8)),
        case("append", "column", "the first columns are appended, whatever the column is",
             x=x, column=2, history=spread("int8", (2, 1, 3), -128, 127, 9)),
        case("append", "rows", "rows of the histories are mixed",
             x=spread("int8", (3, 2), -128, 127), column=1,
             history=spread("int8", (3, 4, 1), -128, 127, 5)),
        case("append", "minus_128", "a number of -128 is read as -127",
             x=[[-128, 127]], column=0, history=np.array([[[-128, 127], [127, -128]]], np.int8)),
        case("append", "long", "a history of more than 63 steps",
             x=[[1, -1], [2, -2]], column=0, history=spread("int8", (2, 70, 2), -128, 127)),
    ]  # fmt: skip
