"""The search of continuations of a language model: greedy, beam, drawn; stop texts; digests."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from int8ref.engines.engine import Engine
from int8ref.options import Options, normalization_of
from int8ref.results import LikelyToken, Scores
from int8ref.search.hypothesis import Hypothesis
from int8ref.search.reading import Given, digests, likeliest
from int8ref.search.request import Request, Tokens
from int8ref.spec.limits import MAX_BEAM, MAX_TEXTS
from int8ref.text.decimals import natural_log
from int8ref.text.text_tokenizer import TextTokenizer
from int8ref.translation.scores import scores_of
from int8ref.translation.witness import searched

HALF_CHARACTER = "\ufffd"
"""The end of a decoded text whose last tokens are the first bytes of a character."""
BYTE = "<0x"
"""The beginning of the name of a token of one byte."""
Likeliest = tuple[tuple[LikelyToken, ...], ...]


class Found(msgspec.Struct, frozen=True):
    """A continuation.

    ids        added tokens
    ended      whether an end mark follows them
    scores     None without the option scores
    stopped    the stop text that they end with, or None
    logits     the digest of their logits, or None
    likeliest  the most likely tokens of each step, or None
    """

    ids: Tokens
    ended: bool
    scores: Scores | None = None
    stopped: str | None = None
    logits: str | None = None
    likeliest: Likeliest | None = None


def draw_number(number: int, draw: int) -> int:
    """The text number of a drawn continuation: number + draw * 2^38.  Draw 0 is the only one
    without the option n_best."""
    return number + draw * (MAX_TEXTS // MAX_BEAM)


def continued(
    engine: Engine,
    tokenizer: TextTokenizer,
    requests: Sequence[Request],
    options: Options,
    rows: int,
) -> list[list[Found]]:
    """Return the continuations of each request, best first.  `rows`: see `Engine.greedy`."""
    several = _several(engine, requests, options, rows)
    owners = [request for request, some in zip(requests, several, strict=True) for _ in some]
    flat = completed(engine, tokenizer, owners, [one for some in several for one in some], options)
    each = iter(flat)
    return [[next(each) for _ in some] for some in several]


def completed(
    engine: Engine,
    tokenizer: TextTokenizer,
    requests: Sequence[Request],
    found: Sequence[Found],
    options: Options,
) -> list[Found]:
    """Return continuations of a search with what the options ask for besides: stop texts, digests,
    and the most likely tokens."""
    flat = [
        _stopped(tokenizer, request, one, options.stop)
        for request, one in zip(requests, found, strict=True)
    ]
    given = [Given(r, one.ids, one.ended) for r, one in zip(requests, flat, strict=True)]
    if options.logits_digest:
        told = digests(engine, given)
        flat = [msgspec.structs.replace(f, logits=t) for f, t in zip(flat, told, strict=True)]
    if options.top_logprobs:
        read = likeliest(engine, given, options.top_logprobs)
        flat = [
            msgspec.structs.replace(f, likeliest=_named(tokenizer, steps))
            for f, steps in zip(flat, read, strict=True)
        ]
    return flat


def _several(
    engine: Engine, requests: Sequence[Request], options: Options, rows: int
) -> list[list[Found]]:
    """Search without stop texts."""
    sampling, count = options.sampling, options.n_best
    if sampling is None and (options.beam_size > 1 or options.scores):
        beam = normalization_of(options, engine.program.alpha, count)
        return [[_of(h) for h in some] for some in engine.beam(requests, beam)]
    each = [
        msgspec.structs.replace(request, number=draw_number(request.number, draw))
        for request in requests
        for draw in range(count)
    ]
    found = searched(engine, each, sampling, wanted=False, rows=rows)
    flat = [Found(ids, len(ids) < r.limit) for r, (ids, _) in zip(each, found, strict=True)]
    return [flat[i : i + count] for i in range(0, len(flat), count)]


def _of(hypothesis: Hypothesis) -> Found:
    return Found(hypothesis.ids, hypothesis.complete, scores_of(hypothesis))


def added_text(tokenizer: TextTokenizer, prompt: Tokens, added: Tokens) -> str:
    """Return the text of the added tokens, as it follows the text of a prompt."""
    return tokenizer.text([*prompt, *added]).removeprefix(tokenizer.text(prompt))


def settled_text(tokenizer: TextTokenizer, prompt: Tokens, added: Tokens) -> str:
    """Return the beginning of the added text that no further token changes.

    Tokens of single bytes at the end may be a part of a character, and so may the last bytes of
    another token.
    """
    whole = len(added)
    names = tokenizer.pieces(added)
    while whole and names[whole - 1].startswith(BYTE):
        whole -= 1
    text = added_text(tokenizer, prompt, added[:whole]).rstrip(HALF_CHARACTER)
    return text.removesuffix("@@")  # of subword-nmt: the word goes on


def stop_place(text: str, stops: Sequence[str]) -> tuple[int, str] | None:
    """Return the place and the text of the first stop in a text; of several at one place, the
    longest."""
    places = [(text.find(stop), -len(stop), stop) for stop in stops if stop in text]
    return (min(places)[0], min(places)[2]) if places else None


def _stopped(
    tokenizer: TextTokenizer, request: Request, found: Found, stops: Sequence[str]
) -> Found:
    """Cut a continuation after the token that completes a stop text."""
    prompt, ids = request.prefix, found.ids
    if not stops or stop_place(added_text(tokenizer, prompt, ids), stops) is None:
        return found

    def stops_within(count: int) -> bool:
        return stop_place(added_text(tokenizer, prompt, ids[:count]), stops) is not None

    count = bisect_left(range(len(ids) + 1), True, key=stops_within)
    place = stop_place(added_text(tokenizer, prompt, ids[:count]), stops)
    assert place is not None
    return Found(ids[:count], ended=False, stopped=place[1])


def _named(tokenizer: TextTokenizer, steps: Sequence[Sequence[tuple[int, int, int]]]) -> Likeliest:
    """Name the tokens of each step: triples of a token, its logit and its log-probability."""
    return tuple(
        tuple(
            LikelyToken(token, name, logit, natural_log(log2))
            for (token, logit, log2), name in zip(
                step, tokenizer.pieces([token for token, _, _ in step]), strict=True
            )
        )
        for step in steps
    )
