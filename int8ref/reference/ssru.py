"""One step of the simpler simple recurrent unit."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import rounding_shift_right
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import Result, Rows
from int8ref.spec.trace import note

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
    """Advance the recurrent state by one token.

        f                = max(gate[r, n], 0)
        next_state[r, n] = rounding_shift_right(f * state[r, n] + (2^15 - f) * x[r, n], 15)     (A1)
        out[r, n]        = max(next_state[r, n], 0)

    `x`, `gate`, `state`, next_state, out: int16 [rows, n], all values.  `gate` has 15 fraction
    bits, and a negative gate counts as 0.  x, state, next_state and out have one scale.  The sum
    fits in int32 and is rounded once, half up.  next_state is a convex combination of state and x,
    so that it cannot leave int16.

    Raises no error, because every int16 has a result.

    Source: Kim et al. 2019, "From Research to Production and Back", Eq. 5 to 7.  This is the
    decoder cell of Marian's small models.
    """
    f = np.maximum(gate.astype(np.int64), 0)
    mixed = f * state.astype(np.int64) + ((1 << GATE_BITS) - f) * x.astype(np.int64)
    note("sum", mixed)
    following = rounding_shift_right(mixed, GATE_BITS).astype(np.int16)
    return following, np.maximum(following, np.int16(0))
