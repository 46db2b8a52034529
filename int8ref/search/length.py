"""Normalised scores, which compare hypotheses of different length in exact integers.

The sum of log-probabilities falls with every token, so that sums alone favour short hypotheses.  A
sum is divided by a penalty that grows with the number n of tokens, eos included:

    length  n^alpha                     alpha = 1: the mean log-probability
    gnmt    ((5 + n) / 6)^alpha         Wu et al. 2016 (Google's Neural Machine Translation), Eq. 14
    none    1
"""

from __future__ import annotations

from functools import cache

import numpy as np

from int8ref.search.hypothesis import BeamOptions
from int8ref.spec.limits import Normalization

PENALTY_BITS = 16
MAX_PENALTY = 1 << 60


def normalized(total: int, penalty: int) -> int:
    """floor(total * 2^16 / penalty + 1/2): a sum of log-probabilities divided by its penalty.

    `total` lies in [-2^43, 0].  `penalty` is in units of 2^-16, at least 2^16 and at most 2^60.
    Every intermediate fits in 64 bits.  The result never falls as `total` rises, and never falls as
    `penalty` rises.
    """
    return ((total << (PENALTY_BITS + 1)) + penalty) // (2 * penalty)


def penalties(options: BeamOptions, most: int) -> list[int]:
    """The penalties for 0 to `most` tokens; the entry for 0 is never used."""
    return [penalty(options.normalization, options.alpha, max(n, 1)) for n in range(most + 1)]


@cache
def penalty(normalization: Normalization, alpha: int, length: int) -> int:
    """The penalty of `length` tokens, in units of 2^-16: rounded half up, at most 2^60.

    Let alpha / 100 = p / q in lowest terms, and let a / b be the base (n, or (5 + n) / 6).  The
    penalty is the rounded x with x^q * b^p = a^p * 2^(16 q).  The loop finds the half units of x
    bit by bit, so that the result is exact.  The penalty never falls as `length` grows, and it is
    2^16 for one token.
    """
    if normalization == "none":
        return 1 << PENALTY_BITS
    a, b = (length, 1) if normalization == "length" else (5 + length, 6)
    common = int(np.gcd(alpha, 100))
    p, q = alpha // common, 100 // common
    wanted, scale = a**p << (q * (PENALTY_BITS + 1)), b**p
    if scale * (2 * MAX_PENALTY) ** q <= wanted:
        return MAX_PENALTY
    root = 0
    for bit in range((wanted // scale).bit_length() // q, -1, -1):
        trial = root | 1 << bit
        if trial**q * scale <= wanted:
            root = trial
    return (root + 1) >> 1
