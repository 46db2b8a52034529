"""The interface of all formats: a reader finds the segments, and writes the file again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from int8ref.documents.inline import Segment


class Opened(msgspec.Struct, frozen=True):
    """An open file.

    documents  the parts of the file that contain text: segments, and what stands between them
    finish     returns the bytes of the file.  It gets the translated text of each part.
    """

    documents: Sequence[Sequence[str | Segment]]
    finish: Callable[[Sequence[str]], bytes]


Reader = Callable[[bytes, str], Opened]
"""Opens a file.  The second argument is the name of the file in messages."""
