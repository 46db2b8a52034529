"""Adjustments of the logits: the stage between the logits of the decoder and a search.

A search sees the row of logits of a step only after this stage.  The stage changes logits by the
tokens before the step, and it removes tokens.  Each adjustment is data of the request, with a
neutral value that changes nothing.
"""

from __future__ import annotations

import msgspec

from int8ref.search.checks import check_range, check_sequence
from int8ref.spec.adjusting import NO_PENALTY
from int8ref.spec.limits import (
    MAX_CONTINUATION_TOKENS,
    MAX_PENALTY,
    MAX_REPETITION,
    MAX_TOKENS,
)


class Adjustments(msgspec.Struct, frozen=True):
    """Adjustments of the logits of a search.  `search.logits` defines what each of them does.

    repetition     divisor of the positive logits, and factor of the negative logits, of the tokens
                   that occur in the prefix or were chosen, in hundredths, in [1, 10000]; 100: none
    presence       subtracted from the logits of the tokens that were chosen: hundredths of a
                   natural logarithm, in [-10000, 10000]
    frequency      subtracted from the logit of a token for each time that it was chosen: as
                   `presence`
    bias           pairs (token, amount): the amount is added to the logit of the token; hundredths
                   of a natural logarithm, in [-10000, 10000].  A token occurs once.
    min_length     number of tokens that are chosen before an end mark may be, in [0, 8192]
    suppressed     tokens that are never chosen, each of them once
    no_repeat      n, in [0, 8192]: no n tokens in a row occur twice in prefix and chosen tokens;
                   0: any tokens may occur again
    continuations  the only sequences of tokens that may be chosen, each with an end mark after it;
                   empty: any sequence.  At most 2^20 tokens in all.

    Raises ValueError outside these ranges.
    """

    repetition: int = NO_PENALTY
    presence: int = 0
    frequency: int = 0
    bias: tuple[tuple[int, int], ...] = ()
    min_length: int = 0
    suppressed: tuple[int, ...] = ()
    no_repeat: int = 0
    continuations: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        check_range("repetition", self.repetition, 1, MAX_REPETITION)
        for name in ("presence", "frequency"):
            check_range(name, getattr(self, name), -MAX_PENALTY, MAX_PENALTY)
        for token, amount in self.bias:
            check_range(f"the bias of token {token}", amount, -MAX_PENALTY, MAX_PENALTY)
        check_range("min_length", self.min_length, 0, MAX_TOKENS)
        check_range("no_repeat", self.no_repeat, 0, MAX_TOKENS)
        tokens = sum(map(len, self.continuations))
        check_range("the number of tokens of continuations", tokens, 0, MAX_CONTINUATION_TOKENS)

    def check(self, vocabulary: int) -> None:
        """Raise ValueError for a token id outside the vocabulary, or one that occurs twice."""
        from int8ref.search.checks import check_tokens

        check_tokens("suppressed", self.suppressed, vocabulary)
        check_tokens("bias", [token for token, _ in self.bias], vocabulary)
        for tokens in self.continuations:
            check_sequence("a continuation", tokens)
            check_tokens("a continuation", tokens, vocabulary)


NEUTRAL = Adjustments()
"""The adjustments that change nothing."""
