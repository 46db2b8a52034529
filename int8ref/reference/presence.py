"""Operands that are present together or absent together."""

from __future__ import annotations


def need_each_other(op: str, **operands: object) -> None:
    """Raise `ValueError` if some of the operands are None and others are not.

    `op`: name of the operation in the message.
    """
    absent = [name for name, content in operands.items() if content is None]
    if 0 < len(absent) < len(operands):
        *names, last = operands
        raise ValueError(f"{op}: {', '.join(names)} and {last} need each other")
