"""Converts the scores of a hypothesis to natural logarithms in decimals."""

from __future__ import annotations

from int8ref.results import Scores
from int8ref.search import Hypothesis
from int8ref.text.decimals import natural_log

CERTAIN = Scores((), natural_log(0), natural_log(0), True)
"""Scores of the empty translation of a text without tokens."""


def scores_of(hypothesis: Hypothesis) -> Scores:
    """Return the scores of a hypothesis.  Each score is rounded once, to six decimal places."""
    return Scores(
        tokens=tuple(natural_log(token) for token in hypothesis.tokens),
        log_probability=natural_log(sum(hypothesis.tokens)),
        score=natural_log(hypothesis.score),
        complete=hypothesis.complete,
    )
