"""Limits of the time and memory that a Program may use, because a model file may be hostile.

A file of 4 GiB (`container.MAX_FILE_BYTES`) has at most 2^32 weights.  Each weight takes part in
one multiply-add for each row.  Attention over 1024 keys, and layers that share weights, need more
multiply-adds.  Attention over more keys has a limit of its own, because it needs them only in long
texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from int8ref.spec.instruction import Instruction
from int8ref.spec.scope import Domain, ProgramError, Tensors, ValueType

MAX_INSTRUCTIONS = 1 << 12
"""Largest number of instructions, in the encoder and in the decoder."""
MAX_STATES = 1 << 10
MAX_WORK = 1 << 33
"""Largest number of multiply-adds for a row of the encoder, and for a decoder step of one
hypothesis, if no attention sees more than USUAL_KEYS keys."""
USUAL_KEYS = 1024
MAX_LONG_WORK = 1 << 36
"""The same, if every attention sees as many keys as it can."""
MAX_ROW_BYTES = 1 << 26
"""Largest size of all values of a row: a source token, or a hypothesis in one step."""
MAX_SENTENCE_BYTES = 1 << 32
"""Largest size of all values of the longest sentence and one hypothesis, with their histories."""


class Cost:
    """The cost of the instructions so far.  A method raises ProgramError beyond a limit."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._row_bytes: dict[Domain, int] = dict.fromkeys(
            ("source", "target", "sentence", "history"), 0
        )

    def add_values(self, where: str, values: Mapping[str, ValueType], names: Sequence[str]) -> None:
        """Add the bytes of values; `where` names their instruction in the error.

        Only the successor of a state is added, because the state shares its memory.
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
        keys: int,
    ) -> None:
        """Check the multiply-adds of one row of a sequence.

        An instruction on source rows counts `source_rows` times.  A row of an attention sees at
        most `keys` keys.
        """
        for seen, most in ((USUAL_KEYS, MAX_WORK), (max(keys, USUAL_KEYS), MAX_LONG_WORK)):
            work = 0
            for instruction in sequence:
                source = values[instruction.names("result")[0]].domain == "source"
                rows = source_rows if source else 1
                work += rows * instruction.work(values, self._tensors, seen)
                if work > most:
                    raise ProgramError(f"{name}: more than {most} multiply-adds a row")

    def check_sentence(self, source_rows: int, steps: int) -> None:
        """Check the memory of a sentence of `source_rows` tokens with a hypothesis of `steps`
        steps."""
        rows: dict[Domain, int] = {"source": source_rows, "history": steps}
        size = sum(n * rows.get(domain, 1) for domain, n in self._row_bytes.items())
        if size > MAX_SENTENCE_BYTES:
            raise ProgramError(
                f"the values of a sentence of {source_rows} tokens and {steps} steps take {size}"
                f" bytes, more than {MAX_SENTENCE_BYTES}"
            )
