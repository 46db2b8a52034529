"""How an instruction can be cut into parts for several threads: words of its row of code."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from int8ref.abi.frame import ACROSS, DOWN, ROWS_OF, WORK
from int8ref.kernels.gemm.layout import PANEL
from int8ref.machine.model.places import Place
from int8ref.reference.attention import Attention
from int8ref.reference.linear import Linear
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import DOMAINS

OF_CHANNEL = 100
"""Multiply-adds of a product in the time of one channel of another operation."""
OF_KEY = 16
"""The same for a channel of a key and its value in an attention."""


def write_cuts(
    instruction: Instruction, places: Mapping[str, Place], depth: int, row: npt.NDArray[np.int64]
) -> None:
    """Write the words of an instruction.  `depth`: number of inputs of a product."""
    names = [*instruction.names("value"), *instruction.names("result")]
    result = places[instruction.names("result")[0]]
    domains = {places[name].domain for name in names} - {"history"}
    if isinstance(instruction, Linear):
        row[WORK] = result.width * depth
        row[ACROSS] = -(-result.width // PANEL)
    elif isinstance(instruction, Attention):
        row[WORK] = instruction.heads * instruction.head_width * OF_KEY
        row[ACROSS] = instruction.heads // (instruction.group or 1)
        row[ROWS_OF] = 1 + DOMAINS.index(result.domain)
        return
    else:
        row[WORK] = max(places[name].width for name in names) * OF_CHANNEL
        row[ACROSS] = 1
    if len(domains) == 1 and domains <= {"source", "target"}:
        row[ROWS_OF] = 1 + DOMAINS.index(domains.pop())
        row[DOWN] = 1
    else:
        row[ACROSS] = 0
