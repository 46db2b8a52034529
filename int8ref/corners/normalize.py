"""Corner cases of `normalize`."""

from __future__ import annotations

import numpy as np

from int8ref.corners.case import Case, case, full, spread


def cases() -> list[Case]:
    """Return the cases."""
    return [
        case("normalize", "zeros", "a row of zeros divides by 0", x=[[0, 0, 0], [1, 0, 0]],
             length=127),
        case("normalize", "one_column", "a row of one column",
             x=[[1], [-1], [0], [-32768], [32767]], length=100),
        case("normalize", "ties", "ties round another way than up",
             x=[[4, 4, 4, 4], [-4, -4, -4, -4], [1, -1, 1, -1], [8, 0, 0, 0]], length=1),
        case("normalize", "ties_odd", "ties of larger numbers round another way than up",
             x=[[4, 4, 4, 4], [-4, -4, -4, -4], [4, -4, 4, -4], [12, -12, 12, -12]], length=5),
        case("normalize", "saturate", "a component above 127 wraps, or the lower end is -128",
             x=[[100, 0, 0], [-100, 0, 0], [3, 4, 0], [1, 100, -100]], length=32767),
        case("normalize", "saturate_near", "the clamp is one off",
             x=[[9, 0], [-9, 0], [9, 1], [-9, 1]], length=128),
        case("normalize", "root_rounds", "the root is rounded to the nearest, or loses its 8 bits",
             x=[[1, 1], [1, 2], [1, 1], [3, 5], [7, 1]], length=32767 // 256),
        case("normalize", "ends", "a number of -32768 is read as -32767",
             x=[[-32768, 32767], [32767, 32767], [-32768, 1], [-32768, -32768]], length=127),
        case("normalize", "rows", "the length of the first row serves all rows",
             x=[[1, 2, 3], [1000, 2000, 3000], [-5, 0, 5], [30000, 1, -1]], length=120),
        case("normalize", "widest", "a sum of squares is narrower than 44 bits",
             x=np.concatenate([full("int16", (1, 8192), -32768)]), length=32767),
        case("normalize", "width_33", "columns beside a whole block are lost",
             x=spread("int16", (3, 33), -32768, 32767), length=500),
    ]  # fmt: skip
