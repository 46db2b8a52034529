"""Counts the processors that this process may use."""

from __future__ import annotations

import os


def processors() -> int:
    """Return the number of processors that the operating system allows this process, at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
