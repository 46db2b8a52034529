"""The input of a search: one record for each sentence."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.errors import WrongTypeError, WrongValueError
from int8ref.search.adjustments import Adjustments
from int8ref.search.checks import check_range, check_sequence, check_tokens, is_integer
from int8ref.spec.limits import MAX_STEPS, MAX_TEXTS

Tokens = Sequence[int]


class Request(msgspec.Struct, frozen=True, eq=False):
    """A sentence that a search translates.

    ids          token ids of the source, with their frame; empty for a decoder alone
    limit        largest number of tokens of the translation after its prefix, in [1, 8192]
    prefix       token ids that the decoder reads first; the search begins after them
    candidates   int32 [n], rising: the only token ids that the search considers; None: all ids.
                 Without eos among them, the translation has as many tokens as its limit
    number       number of the text, in [0, 2^44); its random numbers depend only on this number
                 and on the seed (`search.sampling`)
    adjustments  changes of the logits before the search reads them (`search.logits`); None: none
    """

    ids: Tokens
    limit: int
    prefix: Tokens = ()
    candidates: npt.NDArray[np.int32] | None = None
    number: int = 0
    adjustments: Adjustments | None = None

    @property
    def steps(self) -> int:
        """Largest number of decoder steps: one for each token of the prefix, and the limit."""
        return len(self.prefix) + self.limit

    @property
    def given(self) -> Tokens:
        """The tokens that are known before the search."""
        return self.prefix

    def check(self, index: int, vocabulary: int) -> None:
        """Raises ValueError or TypeError that names the field; `index` is the place in the
        batch."""
        check_sequence(f"sentence {index}", self.ids)
        check_range("a limit", self.limit, 1, MAX_STEPS)
        check_tokens(f"prefix {index}", self.prefix, vocabulary)
        if self.candidates is not None:
            _check_candidates(self.candidates, vocabulary)
        if not is_integer(self.number) or not 0 <= self.number < MAX_TEXTS:
            raise WrongValueError(f"a text has the number {self.number}")
        if self.adjustments is not None:
            if not isinstance(self.adjustments, Adjustments):
                told = reprlib.repr(self.adjustments)
                raise WrongTypeError(f"adjustments {index} are {told}, no Adjustments")
            self.adjustments.check(vocabulary)
            if self.candidates is not None and self.adjustments.continuations:
                raise WrongValueError("candidates and continuations exclude each other")


class Path(msgspec.Struct, frozen=True):
    """A sentence with a given translation.

    ids     token ids of the source, with their frame; empty for a decoder alone
    start   token id before the first token, such as the start of the Program
    tokens  1 to 131072 token ids, whose log-probabilities are computed; an eos does not end the
            path, so that the tokens may be of any text
    prefix  token ids that the decoder reads before `tokens`
    """

    ids: Tokens
    start: int
    tokens: Tokens
    prefix: Tokens = ()

    @property
    def steps(self) -> int:
        """Number of decoder steps."""
        return len(self.prefix) + len(self.tokens)

    @property
    def given(self) -> Tokens:
        """All tokens of the path."""
        return (*self.prefix, *self.tokens)

    @property
    def inputs(self) -> Tokens:
        """The tokens that the decoder reads: the start, and all tokens except the last."""
        return (self.start, *self.given[:-1])

    def check(self, index: int, vocabulary: int) -> None:
        """Raises ValueError or TypeError that names the field; `index` is the place in the
        batch."""
        check_sequence(f"sentence {index}", self.ids)
        if not is_integer(self.start):
            raise WrongValueError(f"start {index} is {self.start!r}, not an integer")
        check_sequence(f"path {index}", self.tokens)
        if not 1 <= len(self.tokens) <= MAX_STEPS:
            raise WrongValueError(
                f"path {index} has {len(self.tokens)} tokens, not 1 to {MAX_STEPS}"
            )
        check_tokens(f"path {index}", self.tokens, vocabulary)
        check_tokens(f"prefix {index}", self.prefix, vocabulary)


Record = TypeVar("Record", Request, Path)


def check_records(kind: type[Record], records: Sequence[Record], vocabulary: int) -> None:
    """Raises TypeError unless `records` is a sequence of `kind`; `check` of each record may raise
    too."""
    check_sequence("the batch", records, f"a sequence of {kind.__name__}")
    for index, record in enumerate(records):
        if not isinstance(record, kind):
            raise WrongTypeError(f"sentence {index} is {reprlib.repr(record)}, no {kind.__name__}")
        record.check(index, vocabulary)


def check_no_candidates(requests: Sequence[Request]) -> None:
    """Raises ValueError if a request has candidates, because sampling draws from all tokens."""
    if any(request.candidates is not None for request in requests):
        raise WrongValueError("candidates are for a search: tokens are drawn from all")


def _check_candidates(tokens: npt.NDArray[np.int32], vocabulary: int) -> None:
    vector = isinstance(tokens, np.ndarray) and tokens.ndim == 1
    if not vector or tokens.dtype != np.int32 or len(tokens) == 0:
        raise WrongValueError("candidates are not a vector of int32 with at least one token")
    if tokens[0] < 0 or tokens[-1] >= vocabulary or np.any(tokens[1:] <= tokens[:-1]):
        raise WrongValueError(f"candidates are not rising token ids in [0, {vocabulary})")
