"""The parser of every command: it answers if a stream is closed, and reads options from files."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from int8ref.errors import UserError
from int8ref.text.streams import described, standard_output, tell


class Parser(argparse.ArgumentParser):
    """A parser that exits with the right status even if an output stream is closed.

    `print` delays the write to the end of the process.  A failure there would print a traceback and
    give the status 120.
    """

    _failing = False
    """Whether an error is a ValueError, because it is about one line of a file."""

    def print_help(self, file: Any = None) -> None:
        """Implement `argparse.ArgumentParser`.  The help always goes to standard output."""
        self.answer(self.format_help())

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Implement `argparse.ArgumentParser`, with options from files: see `options_file`."""
        return super().parse_args(self._expanded(args), namespace)

    def parse_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Implement `argparse.ArgumentParser`, with options from files."""
        return super().parse_intermixed_args(self._expanded(args), namespace)

    def _expanded(self, args: Sequence[str] | None) -> list[str]:
        given = sys.argv[1:] if args is None else list(args)
        if not any(argument.startswith("@") for argument in given):
            return given
        from int8ref.commands.options_file import OptionsFileError, expanded

        try:
            return expanded(given, self._check_option)
        except OptionsFileError as error:
            self.error(str(error))

    def _check_option(self, words: list[str]) -> None:
        """Raise ValueError if words are not one valid option."""
        needed = [action for action in self._actions if action.required]
        texts = [action for action in self._actions if not action.option_strings]
        for action in needed:
            action.required = False
        self._failing = True
        try:
            found, rest = self.parse_known_args(words)
        finally:
            self._failing = False
            for action in needed:
                action.required = True
        if (
            rest
            or len(words) > 2
            or any(word.partition("=")[0] in self._option_string_actions for word in words[1:])
            or any(getattr(found, text.dest) not in (None, [], text.default) for text in texts)
        ):
            raise ValueError(f"{shlex.join(words)} is not one option of {self.prog}")

    def answer(self, text: str) -> None:
        """Write to standard output.  If this fails, end the process with an error."""
        try:
            standard_output().write_all(text.encode())
        except (OSError, UserError) as error:
            tell(f"int8ref: error: {described(error)}\n")
            self.exit(1)

    def error(self, message: str) -> NoReturn:
        """Implement `argparse.ArgumentParser`."""
        if self._failing:
            raise ValueError(message)
        tell(f"{self.format_usage()}{self.prog}: error: {message}\n")
        sys.exit(2)


def command_parser(program: str, description: str, epilog: str) -> Parser:
    """Return a parser whose help shows the examples unchanged."""
    return Parser(
        prog=program,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def check_useless(
    parser: argparse.ArgumentParser, given: argparse.Namespace, names: Iterable[str], why: str
) -> None:
    """Report an error of usage if one of these options is given, because it has no effect.

    `why`: the rest of the sentence "--OPTION does nothing ...".
    """
    for name in names:
        if getattr(given, name) is not None:
            parser.error(f"--{name.replace('_', '-')} does nothing {why}")
