"""One step of the simpler simple recurrent unit."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import rounding_shift_right
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import Result, Rows

GATE_BITS = 15


class Ssru(Instruction, frozen=True):
    """(next_state, out) = ssru(x, gate, state)."""

    in_place = True

    x: Annotated[str, Rows("int16")]
    gate: Annotated[str, Rows("int16")]
    state: Annotated[str, Rows("int16")]
    next_state: Annotated[str, Result("int16")]
    out: Annotated[str, Result("int16")]


def ssru(
    x: npt.NDArray[np.int16], gate: npt.NDArray[np.int16], state: npt.NDArray[np.int16]
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """Advance the recurrent state by one token (Kim et al. 2019, "From Research to Production and
    Back", Eq. 5 to 7; the decoder cell of Marian's small models).

        f          = max(gate[r, n], 0)
        next[r, n] = rounding_shift_right(f * state[r, n] + (2^15 - f) * x[r, n], 15)
        out[r, n]  = max(next[r, n], 0)

    All int16 [rows, n]; `gate` has 15 fraction bits, and counts as 0 below 0; x and the state share
    a scale, which next and out keep.  A convex combination for every gate: it cannot leave int16,
    and the sum cannot leave int32.
    """
    f = np.maximum(gate.astype(np.int64), 0)
    mixed = f * state.astype(np.int64) + ((1 << GATE_BITS) - f) * x.astype(np.int64)
    following = rounding_shift_right(mixed, GATE_BITS).astype(np.int16)
    return following, np.maximum(following, np.int16(0))
