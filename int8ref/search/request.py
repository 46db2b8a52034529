"""What a search is asked for: one record a sentence."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.errors import WrongTypeError, WrongValueError
from int8ref.search.checks import check_range, check_sequence, check_tokens, is_integer
from int8ref.spec.limits import MAX_TEXTS, MAX_TOKENS

Tokens = Sequence[int]


class Request(msgspec.Struct, frozen=True, eq=False):
    """A sentence that is translated by a search.

    ids         token ids of the source, with their frame; none for a decoder alone
    limit       most tokens of the translation after its prefix, in [1, 8192]
    prefix      token ids that the decoder is given first; the search begins after them
    candidates  int32 [n], rising: the only token ids that the search considers; None: all of them.
                Where eos is not among them, the translation has as many tokens as its limit
    number      number of the text, in [0, 2^44): its random numbers depend on nothing else but the
                seed (`search.sampling`)
    """

    ids: Tokens
    limit: int
    prefix: Tokens = ()
    candidates: npt.NDArray[np.int32] | None = None
    number: int = 0

    @property
    def steps(self) -> int:
        """Most steps of the decoder: one for each token of the prefix, and the limit."""
        return len(self.prefix) + self.limit

    def check(self, index: int, vocabulary: int) -> None:
        """Raises ValueError or TypeError that names the field; `index`: place in the batch."""
        check_sequence(f"sentence {index}", self.ids)
        check_range("a limit", self.limit, 1, MAX_TOKENS)
        check_tokens(f"prefix {index}", self.prefix, vocabulary)
        if self.candidates is not None:
            _check_candidates(self.candidates, vocabulary)
        if not is_integer(self.number) or not 0 <= self.number < MAX_TEXTS:
            raise WrongValueError(f"a text has the number {self.number}")


class Path(msgspec.Struct, frozen=True):
    """A sentence whose translation is given.

    ids     token ids of the source, with their frame; none for a decoder alone
    start   the token id before the first, such as the Program's start
    tokens  the token ids whose log-probabilities are wanted, 1 to 8192 of them; none of them ends
            the path, so that it may be of any text
    prefix  token ids that the decoder is given before them
    """

    ids: Tokens
    start: int
    tokens: Tokens
    prefix: Tokens = ()

    @property
    def steps(self) -> int:
        """Steps of the decoder."""
        return len(self.prefix) + len(self.tokens)

    def check(self, index: int, vocabulary: int) -> None:
        """See `Request.check`."""
        check_sequence(f"sentence {index}", self.ids)
        if not is_integer(self.start):
            raise WrongValueError(f"start {index} is {self.start!r}, not an integer")
        check_sequence(f"path {index}", self.tokens)
        if not 1 <= len(self.tokens) <= MAX_TOKENS:
            raise WrongValueError(
                f"path {index} has {len(self.tokens)} tokens, not 1 to {MAX_TOKENS}"
            )
        check_tokens(f"path {index}", self.tokens, vocabulary)
        check_tokens(f"prefix {index}", self.prefix, vocabulary)


Record = TypeVar("Record", Request, Path)


def check_records(kind: type[Record], records: Sequence[Record], vocabulary: int) -> None:
    """Raises TypeError for anything but a sequence of such records, else what their `check`
    raises."""
    check_sequence("the batch", records, f"a sequence of {kind.__name__}")
    for index, record in enumerate(records):
        if not isinstance(record, kind):
            raise WrongTypeError(f"sentence {index} is {reprlib.repr(record)}, no {kind.__name__}")
        record.check(index, vocabulary)


def check_no_candidates(requests: Sequence[Request]) -> None:
    """Raises ValueError where a request that is drawn for has candidates."""
    if any(request.candidates is not None for request in requests):
        raise WrongValueError("candidates are for a search: tokens are drawn from all")


def _check_candidates(tokens: npt.NDArray[np.int32], vocabulary: int) -> None:
    vector = isinstance(tokens, np.ndarray) and tokens.ndim == 1
    if not vector or tokens.dtype != np.int32 or len(tokens) == 0:
        raise WrongValueError("candidates are not a vector of int32 with at least one token")
    if tokens[0] < 0 or tokens[-1] >= vocabulary or np.any(tokens[1:] <= tokens[:-1]):
        raise WrongValueError(f"candidates are not rising token ids in [0, {vocabulary})")
