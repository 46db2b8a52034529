"""Random tokens by their probability, in integers.  The same seed gives the same text everywhere.

A random number depends only on the seed, the number of the text and the step.  Therefore no batch
and no order of texts changes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from int8ref.reference.log_softmax import MAX_MULTIPLIER, LogSoftmax
from int8ref.search.hypothesis import Sampling
from int8ref.spec.arithmetic import POWER_MAX_INPUT, exp2_precise, rounding_shift_right
from int8ref.spec.limits import ALL, MAX_BEAM

RANDOM_BITS = 31
LOW_BITS = 21
"""Number of low bits of a sum of weights; the sum is below 2^52."""

STEP = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
STEP_BITS = 20

Int64 = npt.NDArray[np.int64]


def draw_number(text: int, draw: int) -> int:
    """The number of translation `draw` of text `text`: 64 * text + draw."""
    return text * MAX_BEAM + draw


def random_numbers(seed: int, texts: Sequence[int], count: int) -> npt.NDArray[np.int32]:
    """Random numbers in [0, 2^31) for the first `count` steps of each text, int32 [texts, count].

    They are places of a SplitMix64 stream (Steele et al. 2014, Fig. 17).  Place
    p = 2^20 * text + step + 1 has, modulo 2^64, the number

        mixed(mixed(seed + 0x9E3779B97F4A7C15) + p * 0x9E3779B97F4A7C15) >> 33

    `seed` lies in [0, 2^63), each text in [0, 2^44), and `count` is at most 2^20.
    """
    firsts = np.array(texts, np.uint64)[:, None] << np.uint64(STEP_BITS)
    places = np.add(firsts, np.arange(1, count + 1, dtype=np.uint64), dtype=np.uint64)
    begin = mixed(np.array([[seed]], np.uint64) + STEP)
    return (mixed(begin + places * STEP) >> np.uint64(64 - RANDOM_BITS)).astype(np.int32)


def mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A bijection of 64 bits, modulo 2^64.  Every bit of x changes many bits of the result."""
    x = np.multiply(x ^ (x >> np.uint64(30)), FIRST, dtype=np.uint64)
    x = np.multiply(x ^ (x >> np.uint64(27)), SECOND, dtype=np.uint64)
    return x ^ (x >> np.uint64(31))


def scaled(softmax: LogSoftmax, temperature: int) -> tuple[int, int]:
    """Multiplier and shift of the log-softmax, divided by a temperature in hundredths.

    The multiplier is rounded half up, to at most 30 bits.
    """
    multiplier = (2 * 100 * softmax.multiplier + temperature) // (2 * temperature)
    shift = softmax.shift
    while multiplier > MAX_MULTIPLIER and shift > 0:
        multiplier, shift = (multiplier + 1) >> 1, shift - 1
    return min(multiplier, MAX_MULTIPLIER), shift


def weights(logits: npt.NDArray[np.int32], softmax: LogSoftmax, sampling: Sampling) -> Int64:
    """The weights of the tokens, for rows of logits [rows, n]: int64 [rows, n] in [0, 2^32].

        z[r, n] = min(rounding_shift_right((max(x[r]) - x[r, n]) * multiplier, shift), 2^30)
        w[r, n] = exp2_precise(z[r, n])                                                         (A5)

    x are the logits, capped if `softmax` has a cap.  `multiplier` and `shift` come from `scaled`.
    With `top_k` = k, w is 0 for each x below the k-th largest of its row.  Then, with `top_p` = p,
    w is 0 for each w below v.  Here v is the largest number such that the sum of the w >= v is at
    least p / 100 of the sum of all w.  Then, with `min_p` = m, w is 0 for each w with
    100 w < m max(w).
    """
    x = softmax.capped(logits).astype(np.int64)
    multiplier, shift = scaled(softmax, sampling.temperature)
    distance = x.max(axis=1, keepdims=True) - x
    z = np.minimum(rounding_shift_right(distance * multiplier, shift), POWER_MAX_INPUT)
    found = exp2_precise(z)
    if 0 < sampling.top_k < x.shape[1]:
        place = x.shape[1] - sampling.top_k
        found[x < np.partition(x, place, axis=1)[:, place, None]] = 0
    if sampling.top_p < ALL:
        falling = -np.sort(-found, axis=1)
        sums = falling.cumsum(axis=1)
        enough = sums * ALL >= sums[:, -1:] * sampling.top_p
        least = np.take_along_axis(falling, enough.argmax(axis=1)[:, None], axis=1)
        found[found < least] = 0
    found[found * ALL < found.max(axis=1, keepdims=True) * sampling.min_p] = 0
    return found


def drawn(weight: Int64, number: int) -> int:
    """Draw a token: `number` is a random number in [0, 2^31).

    The drawn token is the first one at which the running sum of weights exceeds about number / 2^31
    of the total.  With the total h * 2^21 + l, the exact bound is
    floor(number * h / 2^10) + floor(number * l / 2^31), which is below the total.  `weight`: int64
    [n], with a sum in [1, 2^52).
    """
    sums = weight.cumsum()
    high, low = divmod(int(sums[-1]), 1 << LOW_BITS)
    bound = (number * high >> RANDOM_BITS - LOW_BITS) + (number * low >> RANDOM_BITS)
    return int(np.searchsorted(sums, bound, side="right"))
