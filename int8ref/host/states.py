"""Keeps what was computed from files, with the state of the files, so that the next start need not
compute it again.

The state of a file is its device, inode, size, and the times of its last change of content
(`mtime_ns`) and of its last change of any kind (`ctime_ns`).  A program can set the first time, and
no program can set the second.  Therefore every write, replacement and change of times gives another
state.  A record is used only if the state is exactly the same.

A record trusts the system and the disk: it does not notice bytes that change without a write.

A file that changed less than SETTLED_NS before the reading has no record, because a write in the
same tick of the clock would give the same state.  On Windows no file has a record, because
`ctime_ns` is the time of the creation there.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from int8ref.host.storage import cache_folder, keep

SETTLED_NS = 2_000_000_000


def state_of(statuses: Iterable[os.stat_result]) -> str | None:
    """Return the state of files.  `statuses`: their status before they are read.

    Returns None if one of them may change without another state.
    """
    if sys.platform == "win32":
        return None
    settled = time.time_ns() - SETTLED_NS
    found = []
    for s in statuses:
        if max(s.st_mtime_ns, s.st_ctime_ns) > settled:
            return None
        found.append(f"{s.st_dev} {s.st_ino} {s.st_size} {s.st_mtime_ns} {s.st_ctime_ns}")
    return _sha256("\n".join(found))


def recorded(name: str, state: str | None, make: Callable[[], str]) -> str:
    """Return the text of `make`, which computes it from files in this state.

    A text of one line is kept in the cache folder under `name`, and replaces the record of an older
    state.  An error of `make` leaves the record.  If the cache cannot store the record, the next
    process calls `make` again.
    """
    if state is None:
        return make()
    path = cache_folder() / f"known-{_sha256(name)[:32]}"
    found = _read(path, state)
    if found is None:
        found = make()
        keep(path, f"{_sha256(state + found)} {state} {found}\n".encode())
    return found


def _read(path: Path, state: str) -> str | None:
    """Return the text of a record of this state, or None."""
    try:
        digest, kept, text = path.read_text("utf-8").removesuffix("\n").split(" ", 2)
    except (OSError, ValueError):
        return None
    return text if kept == state and digest == _sha256(state + text) else None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
