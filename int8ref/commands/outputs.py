"""The outputs of a run: lines of results, and the records of a receipt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from int8ref.text.lines import LineWriter

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.commands.receipt import Receipt
    from int8ref.text.parts import PartWriter


class Outputs:
    """Writes the lines of results, and their records if the run has a receipt."""

    def __init__(
        self,
        writer: LineWriter | PartWriter,
        written: Callable[[list[str]], list[str]],
        tell: Callable[[int], None],
        receipt: Receipt | None = None,
    ) -> None:
        """Prepare outputs.

        written  returns the lines of the output for the lines of the next result
        tell     gets the number of new results, for the progress
        """
        self._writer, self._written, self._tell, self._receipt = writer, written, tell, receipt

    def write(self, results: Sequence[Any], lines: Sequence[list[str]]) -> None:
        """Write results.  `lines`: the lines of each result."""
        whole = ["\n".join(self._written(some)) for some in lines]
        self._writer.write(whole)
        if self._receipt is not None:
            self._receipt.add(results, [f"{text}\n".encode() for text in whole])
        self._tell(len(results))


OpenOutputs = Callable[[Path], AbstractContextManager[Outputs]]
"""Opens the outputs of a run with this model file."""
