"""Corner cases of every operation and primitive: vectors that find faults, without a model.

Each file holds the cases of the operation with its name, in a function `cases`.  A file without
such an operation holds code that several files share.  `primitives` holds the cases of the
primitives.

A case is chosen by hand for a fault that an implementation may have: a rounding of ties, a clamp
that is left out, a register that is too narrow, an index that is off by one.  Data that may be
anything comes from `spread`, which is a formula.  Nothing is random.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection

from int8ref.corners.case import Case
from int8ref.corners.primitives import PREFIX, add_primitives
from int8ref.errors import UserError
from int8ref.golden.vectors import Vectors
from int8ref.reference import instructions


def cases_of(op: str) -> list[Case]:
    """Return the corner cases of an operation."""
    found: list[Case] = importlib.import_module(f"{__name__}.{op}").cases()
    return found


def record_corners(ops: Collection[str] | None = None, intermediates: bool = False) -> Vectors:
    """Record the corner cases of operations.

    ops            names of operations.  None: all operations, and all primitives.
    intermediates  whether the intermediate values are recorded

    Raises `UserError` for a name that is no operation.
    """
    unknown = sorted(set(ops or ()) - set(instructions()))
    if unknown:
        raise UserError(f"no operation {unknown[0]!r}: there are {', '.join(instructions())}")
    found = Vectors()
    if ops is None:
        add_primitives(found)
    for op in sorted(ops or instructions()):
        for case in cases_of(op):
            case.record(found, intermediates)
    return found


__all__ = ["PREFIX", "Case", "cases_of", "record_corners"]
