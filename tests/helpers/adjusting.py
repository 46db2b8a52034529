"""Random adjustments of logits."""

from __future__ import annotations

from hypothesis import strategies as st

from int8ref.search.adjustments import Adjustments


def adjustments_of(vocabulary: int, trees: bool = True) -> st.SearchStrategy[Adjustments]:
    """Draw adjustments for a vocabulary.  `trees`: some allow only a few continuations."""
    tokens = st.integers(0, vocabulary - 1)
    amounts = st.sampled_from([0, 0, 50, -150, 10_000, -10_000])
    sequences = st.lists(st.lists(tokens, max_size=4).map(tuple), max_size=5).map(tuple)
    return st.builds(
        Adjustments,
        repetition=st.sampled_from([100, 100, 110, 150, 1, 10_000]),
        presence=amounts,
        frequency=amounts,
        bias=st.lists(st.tuples(tokens, amounts), max_size=4).map(tuple),
        min_length=st.sampled_from([0, 0, 1, 5, 8192]),
        suppressed=st.lists(tokens, max_size=vocabulary + 2).map(tuple),
        no_repeat=st.sampled_from([0, 0, 1, 2, 3, 8192]),
        continuations=sequences if trees else st.just(()),
    )
