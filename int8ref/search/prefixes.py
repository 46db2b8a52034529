"""Tokens that the decoder is given first, whatever it would find."""

from __future__ import annotations

from collections.abc import Sequence

from int8ref.errors import WrongValueError
from int8ref.program.inputs import Batch
from int8ref.search.hypothesis import check_limits, check_sequence, check_tokens


def begun(
    sentences: int, limits: Sequence[int], prefixes: Batch | None, vocabulary: int
) -> tuple[Batch, list[int]]:
    """The prefix of each sentence, by default none, and its most steps: one for each token of the
    prefix, and its limit.

    Raises ValueError for limits or prefixes of other sentences, for limits that cannot be, and for
    a prefix with what is no token.
    """
    check_limits(limits, sentences)
    first: Batch = [()] * sentences if prefixes is None else prefixes
    check_sequence("prefixes", first)
    if len(first) != sentences:
        raise WrongValueError(f"{len(first)} prefixes for {sentences} sentences")
    for index, prefix in enumerate(first):
        check_tokens(f"prefix {index}", prefix, vocabulary)
    return first, [most + len(prefix) for most, prefix in zip(limits, first, strict=True)]
