"""Options from a file: `@FILE` on a command line is replaced by the options of FILE.

    # a comment
    --beam-size 4
    --target-prefix "Bom dia"

One line has one option, with its value after a space or after `=`.  Words are quoted as in a shell.
An option after `@FILE` replaces the option of the file, as a later option replaces an earlier one.
A word after `--` is text, also if it begins with @.
"""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable, Iterable, Iterator

from int8ref.errors import UserError
from int8ref.text.lines import Lines
from int8ref.text.streams import described, open_input

MARK = "@"
MAX_BYTES = 1 << 16

Check = Callable[[list[str]], None]
"""Raises ValueError if the words of a line are not one option of the command."""


class OptionsFileError(UserError):
    """An options file is unusable.  The message names the file, the line and the fault."""


def expanded(arguments: Iterable[str], check: Check) -> list[str]:
    """Return the arguments, with the options of files in the places of their names.

    Raises `OptionsFileError`.
    """
    found: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*found, argument, *rest]
        if argument.startswith(MARK):
            found += _options(argument.removeprefix(MARK), check)
        else:
            found.append(argument)
    return found


def _options(path: str, check: Check) -> Iterator[str]:
    """Yield the words of a file."""
    for number, line in enumerate(_lines(path), start=1):
        try:
            words = shlex.split(line, comments=True)
            if words:
                if not words[0].startswith("-") or words[0] == "--":
                    raise ValueError(f"{words[0]!r} is no option")
                check(words)
        except ValueError as error:
            raise OptionsFileError(f"{path}: line {number}: {error}") from None
        yield from words


def _lines(path: str) -> list[str]:
    try:
        with open_input(path) as file:
            content = file.read(MAX_BYTES + 1)  # a device may have no end
            if len(content) > MAX_BYTES:
                raise OptionsFileError(f"{path}: more than {MAX_BYTES} bytes of options")
            return list(Lines(io.BytesIO(content), _refuse, path))
    except (OSError, ValueError) as error:
        told = described(error) if isinstance(error, OSError) else str(error)
        raise OptionsFileError(
            f"{MARK}{path} names a file of options, which cannot be read: {told}; put -- before a"
            f" text that begins with {MARK}"
        ) from None


def _refuse(message: str) -> None:
    raise ValueError(message)
