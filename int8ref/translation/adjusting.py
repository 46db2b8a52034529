"""The options of a run as adjustments of logits."""

from __future__ import annotations

from functools import lru_cache

from int8ref.options import OptionError, Options, hundredths
from int8ref.search.adjustments import Adjustments
from int8ref.spec.adjusting import NUMBERS
from int8ref.text.text_tokenizer import TextTokenizer

KEPT = 16
"""Number of results that are kept, because all requests of a run have the same adjustments."""


@lru_cache(KEPT)
def adjustments_of(options: Options, tokenizer: TextTokenizer) -> Adjustments | None:
    """Return the adjustments of the logits; None if no option adjusts them.

    `tokenizer`: of the texts that are chosen.  Raises `OptionError` for a token id that the model
    lacks, and for values that are too large together.
    """
    if not options.adjusts:
        return None
    numbers = {one.name: getattr(options, one.name) for one in NUMBERS}
    fields = {
        one.field: hundredths(one.name, numbers[one.name]) if one.decimal else numbers[one.name]
        for one in NUMBERS
    }
    pairs = dict(options.logit_bias)
    for token in (*pairs, *options.suppress_tokens):
        if token >= tokenizer.size:
            raise OptionError(f"the model has no token {token}: it has {tokenizer.size}")
    try:
        return Adjustments(
            bias=tuple((t, hundredths("logit_bias", x)) for t, x in pairs.items()),
            suppressed=tuple(options.suppress_tokens),
            continuations=tuple(tuple(tokenizer.encode(text)) for text in options.choices),
            **fields,
        )
    except ValueError as error:
        raise OptionError(str(error)) from None
