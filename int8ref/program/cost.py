"""What a Program may cost: a file from a stranger uses no more time and memory than this.

A file of 4 GiB (`container.MAX_FILE_BYTES`) has 2^32 weights at most, each of which takes part in
one multiply-add for a row; attention over 1024 keys and layers that share weights add to that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from int8ref.spec.instruction import Instruction
from int8ref.spec.scope import Domain, ProgramError, Tensors, ValueType

MAX_INSTRUCTIONS = 1 << 12
"""Instructions of the encoder, and of the decoder."""
MAX_STATES = 1 << 10
MAX_WORK = 1 << 33
"""Multiply-adds of a row of the encoder, and of a step of the decoder for one hypothesis."""
MAX_ROW_BYTES = 1 << 26
"""Bytes of all values of a row: of a source token, and of a hypothesis in one step."""
MAX_SENTENCE_BYTES = 1 << 32
"""Bytes of all values of the longest sentence and of one hypothesis, histories included."""


class Cost:
    """What the instructions of a Program have cost so far; raises ProgramError beyond a limit."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._row_bytes: dict[Domain, int] = dict.fromkeys(
            ("source", "target", "sentence", "history"), 0
        )

    def add_values(self, where: str, values: Mapping[str, ValueType], names: Sequence[str]) -> None:
        """Count values that are defined `where`, which is said in the error.

        A state takes the place of its successor, which is among them.
        """
        for name in names:
            kind = values[name]
            size = max(kind.width, 1) * np.dtype(kind.dtype).itemsize
            self._row_bytes[kind.domain] += size
            if self._row_bytes[kind.domain] > MAX_ROW_BYTES:
                raise ProgramError(
                    f"{where}: the values of a {kind.domain} row take more than"
                    f" {MAX_ROW_BYTES} bytes"
                )

    def check_work(
        self,
        name: str,
        sequence: Sequence[Instruction],
        values: dict[str, ValueType],
        source_rows: int,
    ) -> None:
        """Check the multiply-adds of one row of a sequence; an instruction on the rows of a source
        has `source_rows` of them."""
        work = 0
        for instruction in sequence:
            source = values[instruction.names("result")[0]].domain == "source"
            rows = source_rows if source else 1
            work += rows * instruction.work(values, self._tensors)
            if work > MAX_WORK:
                raise ProgramError(f"{name}: more than {MAX_WORK} multiply-adds a row")

    def check_sentence(self, source_rows: int, steps: int) -> None:
        """Check the memory of a sentence of so many tokens and a hypothesis of so many steps."""
        rows: dict[Domain, int] = {"source": source_rows, "history": steps}
        size = sum(n * rows.get(domain, 1) for domain, n in self._row_bytes.items())
        if size > MAX_SENTENCE_BYTES:
            raise ProgramError(
                f"the values of a sentence of {source_rows} tokens and {steps} steps take {size}"
                f" bytes, more than {MAX_SENTENCE_BYTES}"
            )
