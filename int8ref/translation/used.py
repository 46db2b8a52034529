"""The options that each way of using a language model takes."""

from __future__ import annotations

import dataclasses

from int8ref.options import SAMPLING, OptionError, Options
from int8ref.spec.adjusting import LISTS, NUMBERS
from int8ref.translation import expect

SCORED = ("normalization", "alpha")
"""Options of scores."""
WRITTEN = (
    *("temperature", *SAMPLING, "max_length", "stop"),
    *(*LISTS, *(one.name for one in NUMBERS)),
)
"""Options of a text that is written as it comes."""
SAMPLED = (
    *WRITTEN,
    *("logits_digest", "beam_size", "n_best", "scores", "top_logprobs"),
    *SCORED,
)
"""Options of continuations."""


def check_used(options: Options, used: tuple[str, ...]) -> None:
    """Raise `OptionError` if an option outside `used` is set, because it would have no effect."""
    expect.instance("options", options, Options)
    for field in dataclasses.fields(Options):
        value = getattr(options, field.name)
        if field.name not in used and value != field.default:
            raise OptionError(f"{field.name} does nothing here: it is {value!r}")
