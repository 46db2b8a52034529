"""Parses the values of options.  Each parser raises `argparse.ArgumentTypeError` or ValueError."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from int8ref.files.wanted import hexadecimal
from int8ref.options import OptionError, hundredths
from int8ref.spec.limits import MAX_SEED
from int8ref.text.streams import STANDARD

MAX_COUNT = 4096


def seed(text: str) -> int:
    """Parse a seed."""
    number = int(text)
    if not 0 <= number <= MAX_SEED:
        raise argparse.ArgumentTypeError(f"{number} is not between 0 and 2^63 - 1")
    return number


def sha256(text: str) -> str:
    """Parse a SHA-256."""
    try:
        return hexadecimal(text)
    except OptionError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def receipt_file(text: str) -> str:
    """Parse the name of a receipt."""
    if text == STANDARD:
        raise argparse.ArgumentTypeError("the name of a file is wanted")
    return text


def one_line(text: str) -> str:
    """Parse a text of one line."""
    if "\n" in text:
        raise argparse.ArgumentTypeError("text of one line is wanted")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise argparse.ArgumentTypeError("text in UTF-8 is wanted")
    return text


def count(most: int) -> Callable[[str], int]:
    """Return a parser of integers from 1 to `most`."""
    return number_in(1, most)


def number_in(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of integers from `low` to `high`."""

    def number(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{number} is not between {low} and {high}")
        return number

    return number


def token(text: str) -> int:
    """Parse a token id."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is no token id")
    return number


class Bias(NamedTuple):
    """A token id and what is added to its logit."""

    token: int
    amount: Decimal

    def __str__(self) -> str:
        return f"{self.token}:{self.amount}"


def bias(text: str) -> Bias:
    """Parse a token id and its bias, ID:X."""
    number, mark, amount = text.partition(":")
    if not mark:
        raise argparse.ArgumentTypeError(f"{text!r} is not ID:X, a token id and a number")
    return Bias(token(number), decimal("logit_bias")(amount))


def some_text(text: str) -> str:
    """Parse a text that is not empty."""
    if not text:
        raise argparse.ArgumentTypeError("a text is wanted")
    return text


def decimal(name: str) -> Callable[[str], Decimal]:
    """Return a parser of decimal numbers in hundredths, see `options.RANGES`."""

    def number(text: str) -> Decimal:
        try:
            return Decimal(hundredths(name, text)) / 100
        except OptionError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return number
