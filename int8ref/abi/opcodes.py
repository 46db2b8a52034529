"""The opcodes of the operations."""

from __future__ import annotations

from int8ref.abi.fused import FUSED
from int8ref.reference import instructions
from int8ref.spec.instruction import Instruction

INSTRUCTIONS: dict[str, type[Instruction]] = {**instructions(), **FUSED}
"""Operation name -> class: the operations of Programs, and the operations of the machine alone."""
OPCODES = {op: index for index, op in enumerate(sorted(INSTRUCTIONS))}


def native_function(op: str) -> str:
    """The operation whose native function runs `op`."""
    return INSTRUCTIONS[op].runs_as or op
