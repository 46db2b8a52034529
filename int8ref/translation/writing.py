"""Yields the text of a continuation as it comes: each part when it cannot change."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from int8ref.engines.text_batch import TextBatch
from int8ref.search.request import Request, Tokens
from int8ref.text.text_tokenizer import TextTokenizer
from int8ref.translation.continuing import added_text, settled_text, stop_place

PAUSE_SECONDS = 0.001
"""Time between two looks at the tokens, because a step of a small model takes about as long."""


def written(
    batch: TextBatch,
    tokenizer: TextTokenizer,
    request: Request,
    seed: int,
    stops: Sequence[str],
) -> Iterator[str]:
    """Yield the added text in parts.  The parts together are `Continuation.added`.

    The end of a text that may be the beginning of a stop text waits.  The computation ends with the
    iteration.
    """
    place = batch.enter(request, seed)
    assert place is not None
    run = threading.Thread(target=batch.run, daemon=True)
    run.start()
    shown, known, ended = 0, -1, False
    try:
        while not ended:
            running = run.is_alive()
            (seen,) = batch.seen([place])
            ended = seen.ended or not running
            if len(seen.ids) == known and not ended:
                time.sleep(PAUSE_SECONDS)
                continue
            known = len(seen.ids)
            text, stopped = settled(tokenizer, request.prefix, seen.ids, ended, stops)
            ended = ended or stopped
            if len(text) > shown:
                yield text[shown:]
                shown = len(text)
    finally:
        batch.end(place)
        run.join()


def settled(
    tokenizer: TextTokenizer, prompt: Tokens, added: Tokens, ended: bool, stops: Sequence[str]
) -> tuple[str, bool]:
    """Return the added text that no further token changes, and whether a stop text ends it.

    `ended`: no further token follows.
    """
    text = (added_text if ended else settled_text)(tokenizer, prompt, added)
    if (found := stop_place(text, stops)) is not None:
        return text[: found[0]], True
    return text if ended else text[: len(text) - held(text, stops)], False


def held(text: str, stops: Sequence[str]) -> int:
    """The number of last characters that may be the beginning of a stop text."""
    return max(
        (n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0
    )
