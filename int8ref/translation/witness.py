"""Searches whose results have digests of their logits, and which drafts make faster.

A draft is a translation that somebody expects.  If the search gives this translation, the engine
reads it instead of searching.  A wrong draft costs time and changes no result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from int8ref.engines.engine import Engine
from int8ref.search.reading import Choose, Given, confirmed, digests
from int8ref.search.request import Request, Tokens

Drafts = Sequence[Tokens | None]
"""A draft for each request, without prefix and end mark; None: no draft."""
Search = Callable[[Sequence[Request]], list[list[int]]]
Witnessed = tuple[Sequence[int], str | None]
"""The ids of a translation, and the digest of its logits; None: not wanted."""


def without_digests(ids: Sequence[Tokens]) -> list[Witnessed]:
    """Return translations whose logits nobody asks for."""
    return [(each, None) for each in ids]


def witnessed(
    engine: Engine,
    requests: Sequence[Request],
    search: Search,
    choice: tuple[Choose, int],
    drafts: Drafts,
) -> list[Witnessed]:
    """Return the result of `search` for each request, with the digest of its logits.

    search  a method of the engine: one translation for each request
    choice  the choice of a token in this search, and the size of the vocabulary
    drafts  one for each request
    """
    drafted = [
        (place, Given.of(request, draft))
        for place, (request, draft) in enumerate(zip(requests, drafts, strict=True))
        if draft is not None
    ]
    told = confirmed(engine, [given for _, given in drafted], *choice) if drafted else []
    found: dict[int, Witnessed] = {
        place: (given.ids, digest)
        for (place, given), digest in zip(drafted, told, strict=True)
        if digest is not None
    }
    rest = [place for place in range(len(requests)) if place not in found]
    if rest:
        wanted = [requests[place] for place in rest]
        given = [Given.of(r, ids) for r, ids in zip(wanted, search(wanted), strict=True)]
        each = zip(rest, given, digests(engine, given), strict=True)
        found |= {place: (one.ids, digest) for place, one, digest in each}
    return [found[place] for place in range(len(requests))]
