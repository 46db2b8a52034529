"""The limits of a service, and the options of its operator."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits that protect a service.  No limit changes a result.

    body          largest body of a request, in bytes
    file          largest file to translate, in bytes
    downloads     largest number of bytes of translated files that wait for their download
    texts         largest number of texts of a request
    queue         largest number of texts that wait, of all requests
    seconds       longest time of a request, with the reading of its body and of its answer
    alternatives  largest number of alternative translations
    connections   largest number of open connections
    batch_size    largest number of texts that are computed together
    threads       number of batches that are computed at once
    """

    body: int
    file: int
    downloads: int
    texts: int
    queue: int
    seconds: int
    alternatives: int
    connections: int
    batch_size: int
    threads: int


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator chooses.

    keys       keys that clients need; empty: every client may use the service
    origins    origins of pages whose scripts may read answers (CORS); empty: none
    beam_size  hypotheses of each step of a translation
    shortlist  whether translations use the lexical shortlist of the model
    """

    keys: frozenset[str] = frozenset()
    origins: tuple[str, ...] = ()
    beam_size: int = 1
    shortlist: bool = False
