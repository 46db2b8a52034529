"""Checks of integers and of sequences of integers, with errors for users."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING

from int8ref.errors import WrongTypeError, WrongValueError

if TYPE_CHECKING:  # options need these checks, and must load without NumPy
    from int8ref.program.program import Program


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Raises ValueError unless `value` is an integer in [low, high]."""
    if not is_integer(value):
        raise WrongValueError(f"{name} is {value!r}, not an integer")
    if not low <= value <= high:
        raise WrongValueError(f"{name} is {value}, outside [{low}, {high}]")


def is_integer(value: object) -> bool:
    """Whether `value` is an integer of Python or NumPy; a bool is not."""
    return type(value) is int or (isinstance(value, Integral) and not isinstance(value, bool))


def check_sequence(name: str, value: object, wanted: str = "a sequence of integers") -> None:
    """Raises TypeError unless `value` is a sequence; a text is not a sequence here."""
    sequence = hasattr(value, "__len__") and hasattr(value, "__getitem__")
    if not sequence or isinstance(value, (str, bytes, dict)):
        raise WrongTypeError(f"{name} is {reprlib.repr(value)}, not {wanted}")


def check_tokens(name: str, tokens: Sequence[int], vocabulary: int) -> None:
    """Raises ValueError for a token id outside the vocabulary."""
    check_sequence(name, tokens)
    for token in tokens:
        if not is_integer(token) or not 0 <= token < vocabulary:
            raise WrongValueError(f"{name} has the token id {token}")


def check_decodes(program: Program) -> None:
    """Raises ValueError for an encoder alone, because it writes no tokens."""
    if program.encodes:
        raise WrongValueError("the program is an encoder alone: it writes no tokens")


def check_encodes(program: Program) -> None:
    """Raises ValueError for a Program with a decoder, because it has no output."""
    if not program.encodes:
        raise WrongValueError("the program has a decoder: it gives no row for each sentence")


def check_batch(batch: object) -> None:
    """Raises TypeError unless `batch` is a sequence of sequences."""
    check_sequence("the batch", batch)
    for index, sentence in enumerate(batch):  # type: ignore[arg-type, var-annotated]
        check_sequence(f"sentence {index}", sentence)
