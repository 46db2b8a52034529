"""The options that adjust logits: one declaration each, for Python, commands and signatures.

`search.adjustments` is what a search gets of them, in integers.
"""

from __future__ import annotations

from dataclasses import dataclass

from int8ref.spec.limits import MAX_PENALTY, MAX_REPETITION, MAX_TOKENS

NO_PENALTY = 100
"""The repetition penalty that changes nothing, in hundredths."""


@dataclass(frozen=True)
class Declared:
    """An option whose value is a number.

    name     name of the option
    field    name of the field of `search.Adjustments`
    low      lowest value, and `high` the highest: integers, or hundredths of a decimal number
    neutral  value that changes nothing, in the same unit
    decimal  whether the option is a decimal number
    about    text for --help
    """

    name: str
    field: str
    low: int
    high: int
    neutral: int
    decimal: bool
    about: str


NUMBERS = (
    Declared(
        "repetition_penalty", "repetition", 1, MAX_REPETITION, NO_PENALTY, True,
        "divide positive logits of tokens that occur before by X, and multiply negative ones"
        " (default: 1, none)",
    ),
    Declared(
        "presence_penalty", "presence", -MAX_PENALTY, MAX_PENALTY, 0, True,
        "subtract X, a natural logarithm, from the logits of tokens that were chosen (default: 0)",
    ),
    Declared(
        "frequency_penalty", "frequency", -MAX_PENALTY, MAX_PENALTY, 0, True,
        "subtract X for each time that a token was chosen (default: 0)",
    ),
    Declared(
        "min_length", "min_length", 0, MAX_TOKENS, 0, False,
        "tokens before an end mark may follow (default: 0)",
    ),
    Declared(
        "no_repeat_ngram", "no_repeat", 0, MAX_TOKENS, 0, False,
        "no N tokens in a row occur twice (default: 0, they may)",
    ),
)  # fmt: skip
"""The options that are numbers."""
LISTS = ("logit_bias", "suppress_tokens", "choices")
"""The options that are lists."""
