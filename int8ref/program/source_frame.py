"""The tokens that a model has around every source."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class SourceFrame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Token ids before and after the ids of every source."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    def around(self, ids: Sequence[int]) -> list[int]:
        """The ids of a source, with the frame around them."""
        return [*self.before, *ids, *self.after]

    @property
    def size(self) -> int:
        """Number of tokens of the frame."""
        return len(self.before) + len(self.after)
