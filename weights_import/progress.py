"""How far an import is, and the time that is left, on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from int8ref.commands.console import Console

Tell = Callable[[int, int], object]
"""Takes how much of a stage is done, and how much it has in all."""


def silent(done: int, total: int) -> None:
    """Tell nobody."""


def stage(console: Console, what: str) -> Tell:
    """Begin a stage of an import; the function that tells its progress."""
    console.info(f"{what} ...")
    console.start_progress(wanted=True)
    return lambda done, total: console.progress(partial(described, what, done, total))


def described(what: str, done: int, total: int, seconds: float) -> str:
    """The progress line of a stage that has lasted `seconds`.

    The time left assumes that each part of the stage takes as long as the parts so far.
    """
    told = f"{what}: {100 * done // total} %"
    if not done:
        return told
    minutes, left = divmod(round(seconds * (total - done) / done), 60)
    return f"{told}, {f'{minutes} min ' if minutes else ''}{left} s left"
