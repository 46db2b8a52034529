"""The numbers of the operations in code."""

from __future__ import annotations

from int8ref.abi.fused import FUSED
from int8ref.reference import instructions
from int8ref.spec.instruction import Instruction

INSTRUCTIONS: dict[str, type[Instruction]] = {**instructions(), **FUSED}
"""By name: the operations of Programs, and those that the machine alone has."""
OPCODES = {op: index for index, op in enumerate(sorted(INSTRUCTIONS))}
