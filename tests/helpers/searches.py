"""Random requests and options of searches."""

from __future__ import annotations

from typing import get_args

import numpy as np
from hypothesis import strategies as st

from int8ref.search import BeamOptions, Normalization
from int8ref.search.request import Request
from tests.helpers.engines import Batch

SIZES = st.sampled_from([1, 2, 3, 4, 8, 17, 64])
"""Beam sizes."""


@st.composite
def beam_options(draw: st.DrawFn, sizes: st.SearchStrategy[int]) -> BeamOptions:
    size = draw(sizes)
    return BeamOptions(
        beam_size=size,
        n_best=draw(st.integers(1, size)),
        normalization=draw(st.sampled_from(get_args(Normalization))),
        alpha=draw(st.sampled_from([0, 50, 60, 100, 250, 1000])),
    )


def limits_of(batch: Batch, data: st.DataObject, most: int = 12) -> list[int]:
    limits = st.lists(st.integers(1, most), min_size=len(batch), max_size=len(batch))
    return data.draw(limits, "limits")


def candidates_of(vocabulary: int) -> st.SearchStrategy[np.ndarray[tuple[int], np.dtype[np.int32]]]:
    """Draw few or many candidates, with or without eos."""
    tokens = st.sets(st.integers(0, vocabulary - 1), min_size=1)
    return tokens.map(lambda some: np.array(sorted(some), np.int32))


def batches_of(
    ids: st.SearchStrategy[list[int]], vocabulary: int, most: int = 9, restricted: bool = False
) -> st.SearchStrategy[list[Request]]:
    """Draw batches of requests.  Some have a prefix of any tokens.

    `restricted`: some have candidates.
    """
    tokens = st.lists(st.integers(0, vocabulary - 1), max_size=6)
    request = st.builds(
        Request,
        ids=ids,
        limit=st.integers(1, most),
        prefix=st.just([]) | tokens,
        candidates=st.none() | candidates_of(vocabulary) if restricted else st.none(),
    )
    return st.lists(request, min_size=1, max_size=5)
