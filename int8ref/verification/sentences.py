"""The sentences on which two engines are compared: token ids, and how the decoder goes on."""

from __future__ import annotations

from collections.abc import Sequence

from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.program.program import takes_source
from int8ref.program.sizes import longest_translation, max_steps
from int8ref.search.request import Request
from int8ref.translation.direction import direction
from int8ref.translation.worker import tokenizers

TEXTS = (
    "Yes.",
    "The committee will publish its 27 recommendations on Tuesday, 14 March 2023.",
    "Where is it?",
    "O gato preto dormia ao sol, e ninguém o acordou.",
    "Wir treffen uns um halb acht vor dem alten Bahnhof.",
    "She said that the river, which had been low all summer, rose by two metres in a single night"
    " and carried away the bridge that her grandfather had built.",
    "E=mc² @ 99 % {ok} \N{SLIGHTLY SMILING FACE}",
    "no no no no no no no no no no no no no no no no no no no no no no no no",
)
"""The text of a verification without a text of the user.  Another text gives other digests."""

Languages = tuple[str | None, str | None]
MAX_STEPS = 64
"""Largest number of tokens after the prefix."""
CONTINUED = 8
"""Number of tokens that a language model adds to a text."""


def requests_of(model: Model, texts: Sequence[str], languages: Languages) -> list[Request]:
    """Return a request for each text that has tokens.

    A translator translates a text, and a language model reads a text and adds a few tokens.  A text
    that is too long for the model is cut.  Raises `UserError` if no text has tokens.
    """
    program = model.program
    tokenizer = tokenizers(model)[0]
    steps = 1 if program.encodes else max_steps(program, model.tensors)
    chosen = direction(model, *languages)
    requests: list[Request] = []
    for text in texts:
        ids = list(tokenizer.encode(text))
        number = len(requests)
        if program.encodes or takes_source(program):
            source = chosen.frame.around(ids[: program.max_source_length - chosen.frame.size])
            room = min(MAX_STEPS, steps - len(chosen.forced))
            limit = longest_translation(len(source), program.max_length_factor, room)
            if ids:
                requests.append(Request(source, limit, chosen.forced, number=number))
        elif ids:
            prefix = ids[: max(steps - CONTINUED, 1)]
            limit = min(CONTINUED, steps - len(prefix))
            requests.append(Request((), limit, prefix, number=number))
    if not requests:
        raise UserError("the text has no tokens")
    return requests
