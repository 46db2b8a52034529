"""Corner cases of `lookup`."""

from __future__ import annotations

import numpy as np

from int8ref.corners.case import Case, case, spread

EVERY = np.arange(-128, 128, dtype=np.int8)


def cases() -> list[Case]:
    """Return the cases."""
    four = np.stack([EVERY[s : s + 4] for s in (0, 1, 126, 127, 128, 252)])
    return [
        case("lookup", "every_entry", "an index is taken as unsigned, or is off by one",
             x=[EVERY], table=spread("int8", (256,), -128, 127)),
        case("lookup", "table_of_16_bits", "entries of 16 bits are read as 8 bits",
             x=[EVERY], table=spread("int16", (256,), -32768, 32767)),
        case("lookup", "one_block", "one block that is stated",
             x=four, table=spread("int8", (256,), -128, 127, 3), blocks=1),
        case("lookup", "two_blocks", "the first table serves all blocks",
             x=four, table=spread("int8", (512,), -128, 127, 5), blocks=2),
        case("lookup", "channel_blocks", "blocks are as wide as there are blocks",
             x=four, table=spread("int16", (1024,), -32768, 32767), blocks=4),
        case("lookup", "wide_blocks", "channels alternate between the blocks",
             x=four.reshape(4, 6), table=spread("int8", (512,), -128, 127, 9), blocks=2),
        case("lookup", "most_blocks", "the most blocks",
             x=EVERY.reshape(4, 64), table=spread("int8", (64 * 256,), -128, 127), blocks=64),
    ]  # fmt: skip
