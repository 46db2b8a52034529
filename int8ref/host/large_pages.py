"""Memory in pages of 2 MB, for data that a computation reads again and again.

The CPU finds the place of a page in its tables.  The tables of many small pages do not fit in its
near caches, so that one thread reads large data from small pages at half of the speed
(docs/speed.md).  A mapped file has small pages.
"""

from __future__ import annotations

import mmap

PAGE_BYTES = 1 << 21
LEAST_BYTES = 1 << 25
"""Size from which a copy is worth its time, because smaller data stays in the far cache."""


def copied(content: mmap.mmap) -> mmap.mmap | memoryview:
    """Return a read-only copy of a mapped file in large pages, or the file itself.

    The result is the file itself if it has less than LEAST_BYTES bytes, or if the operating system
    has no large pages for memory of a process.  The system may still give small pages, because
    large pages are a wish.
    """
    size = len(content)
    if size < LEAST_BYTES or not hasattr(mmap, "MADV_HUGEPAGE"):
        return content
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # shared memory has small pages
    room = mmap.mmap(-1, -(-size // PAGE_BYTES) * PAGE_BYTES, flags=private)
    try:
        room.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # a system without large pages
        return content
    copy = memoryview(room)
    copy[:size] = memoryview(content)
    return copy[:size].toreadonly()
