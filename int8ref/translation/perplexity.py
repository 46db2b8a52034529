"""The perplexity of a text, as a decimal number that is computed from integers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext

from int8ref.spec.arithmetic import LOG_BITS


@dataclass(frozen=True)
class Perplexity:
    """How well a language model predicts a text of n words, or n tokens: 2^(-L / n).

    words   number of white-space tokens.  The end of a line counts as one word.
    tokens  number of tokens of the model.  The end of a line counts as one token.
    log2    L, the sum of the log2-probabilities of all tokens: an integer in units of 2^-20
            (`arithmetic.LOG_BITS`), at most 0
    """

    words: int
    tokens: int
    log2: int

    @property
    def of_words(self) -> Decimal:
        """2^(-L / words), rounded to six decimal places."""
        return _power_of_two(-self.log2, self.words)

    @property
    def of_tokens(self) -> Decimal:
        """2^(-L / tokens), rounded to six decimal places."""
        return _power_of_two(-self.log2, self.tokens)


DIGITS = 6
PRECISION = 40
"""Decimal digits of the one conversion, besides those that a large number needs."""


def _power_of_two(log2: int, count: int) -> Decimal:
    """2^(log2 * 2^-20 / count), rounded to six decimal places."""
    whole = (log2 >> LOG_BITS) // count // 3  # at least as many digits as it has before the point
    with localcontext(prec=PRECISION + whole):
        power = Decimal(2) ** (Decimal(log2) / (count << LOG_BITS))
        return power.quantize(Decimal(1).scaleb(-DIGITS))
