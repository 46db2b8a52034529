"""Checks the types of the arguments that users pass, before any work."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterator, Mapping, Set
from typing import TypeVar

from int8ref.errors import WrongTypeError

Kind = TypeVar("Kind")


def text(name: str, value: object) -> str:
    """Return the text.  Raises `WrongTypeError` that names the argument."""
    if isinstance(value, str):
        return str.__str__(value)  # NumPy's strings become plain str
    raise _wrong(name, value, "a str")


def items(name: str, values: object, wanted: str) -> Iterator[tuple[str, object]]:
    """Yield each item of a list with its name for messages, such as "text[3]".

    `wanted`: description of the expected values.  Raises `WrongTypeError` for a value that is not
    iterable, for text and bytes, because their items are no texts, for sets and mappings, because
    they have no order, and for arrays and tables of several dimensions.
    """
    several = getattr(values, "ndim", 1) != 1  # a table of pandas iterates over its columns
    if several or isinstance(values, (str, bytes, bytearray, memoryview, Mapping, Set)):
        raise _wrong(name, values, wanted)
    try:
        each = iter(values)  # type: ignore[call-overload]
    except TypeError:
        raise _wrong(name, values, wanted) from None
    return ((f"{name}[{place}]", value) for place, value in enumerate(each))


def texts(name: str, values: object, wanted: str = "a list of str") -> Iterator[str]:
    """Yield the texts of a list.  Raises `WrongTypeError`."""
    return (text(place, value) for place, value in items(name, values, wanted))


def lines(
    name: str, values: object, wanted: str = "a list of str"
) -> Iterator[str | tuple[str, str]]:
    """Yield the texts and the pairs of texts of a list.  Raises `WrongTypeError`."""
    for place, value in items(name, values, wanted):
        pair = isinstance(value, (tuple, list)) and len(value) == 2
        yield _pair(place, value) if pair else text(place, value)


def pairs(name: str, values: object) -> Iterator[tuple[str, str]]:
    """Yield the pairs of texts of a list.  Raises `WrongTypeError`."""
    return (_pair(place, value) for place, value in items(name, values, "a list of pairs of str"))


def _pair(name: str, value: object) -> tuple[str, str]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise _wrong(name, value, "a pair of str")
    return text(f"{name}[0]", value[0]), text(f"{name}[1]", value[1])


def instance(name: str, value: object, kind: type[Kind]) -> Kind:
    """Return the value if it is a `kind`.  Raises `WrongTypeError` that names the argument."""
    if isinstance(value, kind):
        return value
    raise _wrong(name, value, f"of the type {kind.__name__}")


def path(name: str, value: object) -> str:
    """Return a path or a name as text.  Raises `WrongTypeError` that names the argument."""
    try:
        return os.fsdecode(value)  # type: ignore[arg-type]
    except TypeError:
        raise _wrong(name, value, "a str or a path") from None


def _wrong(name: str, value: object, wanted: str) -> WrongTypeError:
    return WrongTypeError(f"{name} is {reprlib.repr(value)}, not {wanted}")
