"""The first difference between a claim and a computation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from int8ref.errors import UserError

Step = str | int
"""A step into a document: the name of a member, or the place of an item from 0."""
Place = tuple[Step, ...]

MISSING = "nothing"
"""Stands for a member or an item that is absent."""


class DifferenceError(UserError):
    """A claim differs from the computation.  The message names the first difference."""


def differences(theirs: Any, ours: Any, place: Place = ()) -> Iterator[tuple[Place, Any, Any]]:
    """Yield the leaves in which two documents differ, in the order of `ours`.

    A leaf is (place, value in `theirs`, value in `ours`).
    """
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in dict.fromkeys([*ours, *theirs]):
            pair = theirs.get(name, MISSING), ours.get(name, MISSING)
            yield from differences(*pair, (*place, name))
    elif isinstance(theirs, list) and isinstance(ours, list):
        for at in range(max(len(theirs), len(ours))):
            items = [found[at] if at < len(found) else MISSING for found in (theirs, ours)]
            yield from differences(items[0], items[1], (*place, at))
    elif type(theirs) is not type(ours) or theirs != ours:
        yield place, theirs, ours
