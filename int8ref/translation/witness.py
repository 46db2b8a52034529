"""Searches whose results have digests of their logits, and which drafts make faster.

A draft is a translation that somebody expects.  If greedy search gives this translation, the engine
reads it instead of searching.  A wrong draft costs time and changes no result.
"""

from __future__ import annotations

from collections.abc import Sequence

from int8ref.engines.engine import Engine
from int8ref.search import Sampling
from int8ref.search.reading import Given, confirmed, digests, greedy
from int8ref.search.request import Request, Tokens

Drafts = Sequence[Tokens | None]
"""A draft for each request, without prefix and end mark; None: no draft."""
Witnessed = tuple[Sequence[int], str | None]
"""The ids of a translation, and the digest of its logits; None: not wanted."""


def searched(
    engine: Engine,
    requests: Sequence[Request],
    sampling: Sampling | None,
    wanted: bool,
    rows: int | None = None,
) -> list[Witnessed]:
    """Return a translation for each request: drawn, or without `sampling` by greedy search.

    `wanted`: whether the digests of the logits are wanted.  `rows`: see `Engine.greedy`.
    """
    if sampling is None and wanted:
        return [*greedy(engine, requests)]
    if sampling is None:
        found = engine.greedy(requests, rows)
    else:
        found = engine.sample(requests, sampling, rows)
    if not wanted:
        return [(ids, None) for ids in found]
    given = [Given.of(request, ids) for request, ids in zip(requests, found, strict=True)]
    return [*zip(found, digests(engine, given), strict=True)]


def drafted(
    engine: Engine, requests: Sequence[Request], drafts: Drafts, vocabulary: int
) -> list[Witnessed]:
    """Return the results of greedy search, with the digests of their logits.

    `drafts`: one for each request.  `vocabulary`: number of token ids.
    """
    given = [
        (place, Given.of(request, draft))
        for place, (request, draft) in enumerate(zip(requests, drafts, strict=True))
        if draft is not None
    ]
    told = confirmed(engine, [draft for _, draft in given], vocabulary)
    found: dict[int, Witnessed] = {
        place: (draft.ids, digest)
        for (place, draft), digest in zip(given, told, strict=True)
        if digest is not None
    }
    rest = [place for place in range(len(requests)) if place not in found]
    if rest:
        found |= zip(rest, greedy(engine, [requests[place] for place in rest]), strict=True)
    return [found[place] for place in range(len(requests))]
