"""The outputs of a run: lines of results, and the records of a receipt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from int8ref.text.lines import LineWriter

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.commands.receipt import Receipt


class Outputs:
    """Writes the lines of results, and their records if the run has a receipt."""

    def __init__(self, writer: LineWriter, receipt: Receipt | None = None) -> None:
        self._writer, self._receipt = writer, receipt
        self.terminal = writer.terminal

    def write(self, results: Sequence[Any], lines: Sequence[Sequence[str]]) -> None:
        """Write results.  `lines`: the lines of each result."""
        self._writer.write([line for some in lines for line in some])
        if self._receipt is not None:
            written = ["".join(f"{line}\n" for line in some).encode() for some in lines]
            self._receipt.add(results, written)


OpenOutputs = Callable[[Path], AbstractContextManager[Outputs]]
"""Opens the outputs of a run with this model file."""
