"""The state of the interpreter of pickles: its input, its stack, its memo, and its bounds."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from weights_import.errors import CheckpointError
from weights_import.sources.checkpoint_bytes import Cursor

MAXIMUM_STEPS = 1 << 21
MAXIMUM_LINE_BYTES = 1 << 9


@dataclass(frozen=True)
class Known:
    """A name that a pickle may use, and what stands for a call of it with some arguments."""

    name: str
    make: Callable[[tuple[Any, ...]], object]


class Attributes(dict[Any, object]):
    """The attributes of an object whose class is nothing but its attributes."""


@dataclass
class Machine:
    """The state of an interpreter.

    stack       the values after the last mark
    below       the stacks before each mark
    memo        values that are used again, by number
    names       the names that the pickle may use
    persistent  makes the value that stands outside the pickle for its description
    steps       the number of steps that are left
    """

    input: Cursor
    names: Mapping[str, Known]
    persistent: Callable[[object], object]
    stack: list[object]
    below: list[list[object]]
    memo: dict[int, object]
    steps: int = MAXIMUM_STEPS

    def spend(self, steps: int) -> None:
        """Count steps; raises CheckpointError where there are too many."""
        self.steps -= steps
        if self.steps < 0:
            raise CheckpointError(f"more than {MAXIMUM_STEPS} steps")

    def number(self, layout: str) -> Any:
        """The next number of the pickle."""
        return self.input.numbers(struct.Struct(layout), "a number")[0]

    def bytes(self, layout: str) -> bytes:
        """The next bytes of the pickle, after their number."""
        return bytes(self.input.take(self.number(layout), "bytes"))

    def line(self) -> str:
        """The next line of the pickle."""
        start = self.input.offset
        found = bytes(self.input.content[start : start + MAXIMUM_LINE_BYTES])
        length = found.find(b"\n")
        if length < 0:
            raise CheckpointError("a line without an end")
        self.input.offset += length + 1
        return found[:length].decode()

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        """The last value; raises CheckpointError without one."""
        if not self.stack:
            raise CheckpointError("no value is left on the stack")
        return self.stack.pop()

    def top(self, kind: type) -> Any:
        """The last value, which stays there; raises CheckpointError for a value of another kind."""
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise CheckpointError(f"there is no {kind.__name__} on the stack")
        return self.stack[-1]

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[object]:
        """The values after the last mark, which are taken off."""
        if not self.below:
            raise CheckpointError("no mark is left on the stack")
        found, self.stack = self.stack, self.below.pop()
        return found

    def last(self, count: int) -> list[object]:
        """The last values, which are taken off."""
        return [self.pop() for _ in range(count)][::-1]

    def recalled(self, number: int) -> object:
        """A value of the memo."""
        if number not in self.memo:
            raise CheckpointError(f"no value has the number {number}")
        return self.memo[number]

    def known(self, module: object, name: object) -> Known:
        """A name of the table; raises CheckpointError for another one."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise CheckpointError("a name that is no text")
        found = self.names.get(f"{module}.{name}")
        if found is None:
            raise CheckpointError(
                f"it names {module:.80}.{name:.80}, which is neither a tensor of a known type nor"
                " plain data, so it is not run and not read; load the file in a program that you"
                " trust, and save the tensors alone by torch.save(model.state_dict(), FILE)"
            )
        return found

    def called(self, function: object, arguments: object) -> object:
        """What stands for a call of a known name.

        A call takes a step for each part of its arguments, because it may copy them.
        """
        if not isinstance(function, Known) or not isinstance(arguments, tuple):
            raise CheckpointError("a call of what is no name, or without arguments")
        sized = [one for one in arguments if isinstance(one, str | bytes | list | tuple | dict)]
        self.spend(len(arguments))
        for one in sized:
            self.spend(len(one))
        return function.make(arguments)

    def built(self) -> None:
        """Give an object its attributes; attributes of other values are no data."""
        state, found = self.pop(), self.top(object)
        if isinstance(found, Attributes) and isinstance(state, dict):
            self.spend(len(state))
            found.update(state)
