"""The tokens that a search considers, where it does not consider all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from int8ref.errors import WrongValueError
from int8ref.search.hypothesis import check_sequence

Candidates = Sequence[npt.NDArray[np.int32]]
"""The tokens that each sentence of a batch may be translated with, rising (`shortlist`)."""


def check_candidates(candidates: Candidates, sentences: int, vocabulary: int) -> None:
    """Raises ValueError unless there are rising token ids for each sentence."""
    check_sequence("candidates", candidates)
    if len(candidates) != sentences:
        raise WrongValueError(f"candidates of {len(candidates)} sentences for {sentences}")
    for tokens in candidates:
        vector = isinstance(tokens, np.ndarray) and tokens.ndim == 1
        if not vector or tokens.dtype != np.int32 or len(tokens) == 0:
            raise WrongValueError("candidates are not a vector of int32 with at least one token")
        if tokens[0] < 0 or tokens[-1] >= vocabulary or np.any(tokens[1:] <= tokens[:-1]):
            raise WrongValueError(f"candidates are not rising token ids in [0, {vocabulary})")
