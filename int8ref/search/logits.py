"""What a search sees of the logits of a step: the tokens that may be chosen, and their logits.

Without adjustments, these are the candidates of the request, or all tokens, with the logits of the
decoder.  With adjustments (`search.adjustments`), the stage does this for the row of a hypothesis:

1.  The tokens of the row are those that the continuations allow, else the candidates, else all.
2.  x[n] is the logit of token n, capped if the Program has a soft cap.
3.  If token n occurs in the prefix or was chosen, the repetition penalty p (in hundredths) acts:

        x[n] = floor((200 x[n] + p) / (2 p))     for x[n] > 0        x / (p / 100), rounded half up
        x[n] = floor((2 x[n] p + 100) / 200)     else                x * (p / 100), rounded half up

4.  With c the number of times that token n was chosen, and a(h) the amount of h hundredths of a
    natural logarithm in units of the logits (`amount`):

        x[n] = x[n] - [c > 0] a(presence) - c a(frequency) + a(bias of n)

5.  x[n] is limited to [-2^31, 2^31 - 1].
6.  These tokens are removed: the suppressed tokens; the end marks, while fewer than `min_length`
    tokens were chosen; and each token that would end an n-gram that occurs before.  If this would
    leave no token, no token is removed.

The search then reads the adjusted logits of the tokens that are left, as it would read the logits
of candidates: log-probabilities are over these tokens alone.  No cap follows.

Sources: Keskar et al. 2019 (CTRL), section 4.1 (repetition); Paulus et al. 2018, section 2.5
(n-grams).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.program.program import Program
from int8ref.reference.log_softmax import LogSoftmax
from int8ref.search.adjustments import Adjustments
from int8ref.search.continuations import Tree
from int8ref.search.request import Request
from int8ref.spec.adjusting import NO_PENALTY
from int8ref.spec.arithmetic import INT32_MAX, LOG_BITS

Int32 = npt.NDArray[np.int32]
INT32_MIN = -INT32_MAX - 1
LOG2_E_BITS = 30
LOG2_E = 1_549_082_005
"""log2(e) in units of 2^-30, rounded half up."""


class Row(msgspec.Struct, frozen=True, eq=False):
    """The tokens that may be chosen, and their logits.

    tokens   int32 [n], rising
    logits   int32 [n]
    softmax  the log-softmax of these logits
    """

    tokens: Int32
    logits: Int32
    softmax: LogSoftmax

    @property
    def likeliest(self) -> int:
        """The token with the largest logit; of equal logits, the lowest id."""
        return int(self.tokens[self.logits.argmax()])


class Logits:
    """The stage of one request.  `row` turns the logits of a step into what the search sees."""

    def __init__(self, program: Program, request: Request) -> None:
        self._request, self._ends = request, program.ends
        self._adjusted = request.adjustments
        self._softmax = program.softmax

    def row(self, logits: Int32, chosen: Sequence[int]) -> Row:
        """The row after the `chosen` tokens.  `logits`: int32 [vocabulary]."""
        if self._adjusted is not None:
            return self._stage.row(logits, chosen)
        tokens = self._request.candidates
        if tokens is None:
            return Row(np.arange(len(logits), dtype=np.int32), logits, self._softmax)
        return Row(tokens, logits[tokens], self._softmax)

    @cached_property
    def _stage(self) -> _Stage:
        assert self._adjusted is not None
        return _Stage(self._adjusted, self._request, self._softmax, self._ends)


class _Stage:
    """The stage of a request with adjustments."""

    def __init__(
        self,
        adjusted: Adjustments,
        request: Request,
        softmax: LogSoftmax,
        ends: Collection[int],
    ) -> None:
        self._prefix, self._candidates, self._ends = request.prefix, request.candidates, ends
        self._adjusted, self._softmax = adjusted, softmax
        self._presence = amount(adjusted.presence, softmax)
        self._frequency = amount(adjusted.frequency, softmax)
        self._bias = {token: amount(each, softmax) for token, each in adjusted.bias}
        self._tree = Tree(adjusted.continuations, ends) if adjusted.continuations else None

    def row(self, logits: Int32, chosen: Sequence[int]) -> Row:
        """See `Logits.row`."""
        tokens = self._tokens(len(logits), chosen)
        x = dict(zip(tokens.tolist(), self._softmax.capped(logits[tokens]).tolist(), strict=True))
        adjusted = self._adjusted
        if adjusted.repetition != NO_PENALTY:
            for token in {*self._prefix, *chosen} & x.keys():
                x[token] = repeated(x[token], adjusted.repetition)
        for token, count in Counter(chosen).items():
            if token in x:
                x[token] -= self._presence + count * self._frequency
        for token, added in self._bias.items():
            if token in x:
                x[token] += added
        removed = self._removed(chosen)
        kept = [token for token in x if token not in removed] or [*x]
        values = np.array([x[token] for token in kept], np.int64).clip(INT32_MIN, INT32_MAX)
        plain = msgspec.structs.replace(
            self._softmax, cap_multiplier=msgspec.UNSET, cap_shift=msgspec.UNSET
        )
        return Row(np.array(kept, np.int32), values.astype(np.int32), plain)

    def _tokens(self, vocabulary: int, chosen: Sequence[int]) -> Int32:
        """The tokens before any is removed."""
        if self._tree is not None:
            return self._tree.allowed(chosen)
        if self._candidates is not None:
            return self._candidates
        return np.arange(vocabulary, dtype=np.int32)

    def _removed(self, chosen: Sequence[int]) -> set[int]:
        """The tokens that are removed, if others are left."""
        adjusted = self._adjusted
        ends: Iterable[int] = self._ends if len(chosen) < adjusted.min_length else ()
        again = repeating([*self._prefix, *chosen], adjusted.no_repeat)
        return {*adjusted.suppressed, *ends, *again}


def repeated(x: int, penalty: int) -> int:
    """A logit with a repetition penalty in hundredths, in [1, 10000]."""
    if x > 0:
        return (200 * x + penalty) // (2 * penalty)
    return (2 * x * penalty + 100) // 200


def repeating(tokens: Sequence[int], size: int) -> set[int]:
    """The tokens that would end an n-gram of `size` tokens that occurs in `tokens`."""
    if size == 0:
        return set()
    last = len(tokens) - size + 1  # first place of the last size - 1 tokens
    end = tuple(tokens[last:]) if size > 1 and last >= 0 else ()
    return {tokens[i + size - 1] for i in range(last) if tuple(tokens[i : i + size - 1]) == end}


def amount(hundredths: int, softmax: LogSoftmax) -> int:
    """Hundredths of a natural logarithm in units of the (capped) logits.

    A unit of the logits is multiplier * 2^-(shift + 20) octaves.  Let q be
    |hundredths| * 1549082005 * 2^(shift + 20), and d be 100 * multiplier * 2^30.  The result is
    floor((2 q + d) / (2 d)) with the sign of `hundredths`, of a magnitude of at most 2^31 - 1.
    """
    q = abs(hundredths) * LOG2_E << (softmax.shift + LOG_BITS)
    d = 100 * softmax.multiplier << LOG2_E_BITS
    found = min((2 * q + d) // (2 * d), INT32_MAX)
    return found if hundredths >= 0 else -found
