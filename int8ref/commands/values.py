"""Parses the values of options.  Each parser raises `argparse.ArgumentTypeError` or ValueError."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from decimal import Decimal

from int8ref.files.wanted import hexadecimal
from int8ref.options import OptionError, hundredths
from int8ref.spec.limits import MAX_SEED
from int8ref.text.streams import STANDARD


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

    def number(text: str) -> int:
        number = int(text)
        if not 1 <= number <= most:
            raise argparse.ArgumentTypeError(f"{number} is not between 1 and {most}")
        return number

    return number


def decimal(name: str) -> Callable[[str], Decimal]:
    """Return a parser of decimal numbers in hundredths, see `options.RANGES`."""

    def number(text: str) -> Decimal:
        try:
            return Decimal(hundredths(name, text)) / 100
        except OptionError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return number
