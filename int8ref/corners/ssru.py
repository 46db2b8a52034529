"""Corner cases of `ssru`."""

from __future__ import annotations

from int8ref.corners.case import Case, case

ENDS = [-32768, -32767, -1, 0, 1, 32767]


def cases() -> list[Case]:
    """Return the cases."""
    x = [a for a in ENDS for _ in ENDS]
    state = [b for _ in ENDS for b in ENDS]
    gates = (-32768, -1, 0, 1, 16384, 32767)
    return [
        case("ssru", "ends", "a gate or a state at its end, with a sum of 32 bits",
             x=[x] * 6, state=[state] * 6, gate=[[gate] * 36 for gate in gates]),
        case("ssru", "ties", "ties round another way than up",
             x=[[0, 0, 0, 0, 2, -2, 1]], state=[[1, -1, 3, -3, 1, -1, 0]], gate=[[16384] * 7]),
        case("ssru", "negative_state", "next_state is cut at 0 too",
             x=[[-100, -1, 100]], state=[[-300, 0, -300]], gate=[[8192, 8192, 8192]]),
        case("ssru", "order", "x and state are exchanged",
             x=[[1000, -1000, 7]], state=[[-20, 20, 9000]], gate=[[30000, 3000, 300]]),
        case("ssru", "gate_columns", "one gate serves a whole row",
             x=[[100] * 5, [50] * 5], state=[[0] * 5, [-50] * 5],
             gate=[[0, 8192, 16384, 24576, 32767], [32767, 24576, -5, 8192, 0]]),
    ]  # fmt: skip
