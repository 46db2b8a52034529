"""The forms of an input line: how a line becomes a text, and how the results go back into it."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from int8ref.text.lines import TextError


class Form(Protocol):
    """Reads an input line, and writes the result of the line."""

    def read(self, line: str, where: str) -> tuple[Any, Any]:
        """Return the item to compute, and what the output takes over from the line.

        `where`: name of the line in messages.  Raises `TextError`.
        """
        ...

    def write(self, lines: list[str], carried: Any) -> list[str]:
        """Return the lines of the output.  `lines`: the lines of the result."""
        ...


class Text:
    """A line is a text."""

    def read(self, line: str, where: str) -> tuple[Any, Any]:
        """Implement `Form.read`."""
        return line, None

    def write(self, lines: list[str], carried: Any) -> list[str]:
        """Implement `Form.write`."""
        return lines


class PrefixColumn(Text):
    """A line is a sentence, a tab and a target prefix; or a sentence alone."""

    def read(self, line: str, where: str) -> tuple[Any, Any]:
        """Implement `Form.read`."""
        sentence, *prefixes = line.split("\t")
        if len(prefixes) > 1:
            raise TextError(f"{where} has {len(prefixes)} tabs, not one")
        return ((sentence, *prefixes) if prefixes else sentence), None


class PairColumns(Text):
    """A line is a source, a tab and its translation."""

    def read(self, line: str, where: str) -> tuple[Any, Any]:
        """Implement `Form.read`."""
        tabs = line.count("\t")
        if tabs != 1:
            raise TextError(f"{where} has {tabs} tabs, not one")
        return tuple(line.split("\t")), None


class Columns:
    """A line has columns with tabs between them.  The result replaces the text of one column."""

    def __init__(self, column: int) -> None:
        self._place = column - 1

    def read(self, line: str, where: str) -> tuple[Any, Any]:
        """Implement `Form.read`."""
        columns = line.split("\t")
        if len(columns) <= self._place:
            raise TextError(f"{where} has no column {self._place + 1}: it has {len(columns)}")
        return columns[self._place], columns

    def write(self, lines: list[str], carried: list[str]) -> list[str]:
        """Implement `Form.write`."""
        carried[self._place] = lines[0]
        return ["\t".join(carried)]


class Documents:
    """A line is a JSON document.  A JSON output takes over the members that nobody reads."""

    def __init__(self, names: tuple[str, ...], optional: str | None, given: bool) -> None:
        self._names, self._optional, self._given = names, optional, given

    def read(self, line: str, where: str) -> tuple[Any, Any]:
        """Implement `Form.read`."""
        from int8ref.text import json_lines

        found = json_lines.document(line, where)
        names = [*self._names, *(name for name in (self._optional,) if name in found)]
        texts = [json_lines.text(found, str(name), where) for name in names]
        others = {name: found[name] for name in found if name not in names}
        return (tuple(texts) if len(texts) > 1 else texts[0]), others

    def write(self, lines: list[str], carried: Any) -> list[str]:
        """Implement `Form.write`."""
        if not self._given or not carried:
            return lines
        from int8ref.text import json_lines

        return [json_lines.with_member(line, "given", carried) for line in lines]


class Prompts(Documents):
    """A line is a JSON text, or a JSON document with a prompt or a conversation."""

    def read(self, line: str, where: str) -> tuple[Any, Any]:
        """Implement `Form.read`."""
        from int8ref.text import prompts

        return prompts.beginning(line, where)


class Questions(Text):
    """A line is the message of a user."""

    def read(self, line: str, where: str) -> tuple[Any, Any]:
        """Implement `Form.read`."""
        from int8ref.text import prompts

        return prompts.question(line), None


def form_of(given: argparse.Namespace) -> Form:
    """Return the form of the input lines of a command line.

    `given.members`: the names of the members of a JSON document, as `set_defaults` has them.
    """
    if given.input_format == "json":
        documents = Prompts if hasattr(given, "chat") else Documents
        return documents(given.members, given.optional_member, given.output_format == "json")
    if getattr(given, "chat", False):
        return Questions()
    if given.tsv is not None:
        return Columns(given.tsv)
    if getattr(given, "prefix_column", False):
        return PrefixColumn()
    return PairColumns() if len(given.members) > 1 else Text()


class Items:
    """Iterates over the items of lines.  Remembers what the results of the items will need.

    first  number of the first line, from 0
    where  returns the name of a line in messages; the first of `lines` has the place 1
    """

    def __init__(
        self,
        lines: Iterable[Any],
        form: Form,
        first: int,
        witnessed: bool,
        where: Callable[[int], str] = "line {}".format,
    ) -> None:
        self.first = first
        self._lines, self._form, self._witnessed, self._where = lines, form, witnessed, where
        self._carried: deque[Any] = deque()
        self._waiting: deque[str] = deque()

    def __iter__(self) -> Iterator[Any]:
        for place, line in enumerate(self._lines, start=1):
            item, carried = self._form.read(line, self._where(place))
            self._carried.append(carried)
            if self._witnessed:
                self._waiting.append(line)
            yield item

    def take(self) -> str:
        """Return the first line that no record has taken."""
        return self._waiting.popleft()

    def written(self, lines: list[str]) -> list[str]:
        """Return the lines of the output for the first item that has no output yet."""
        return self._form.write(lines, self._carried.popleft())
