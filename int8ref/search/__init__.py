"""Search for the best translation, in integers: greedy, beam search, and forced decoding.

hypothesis.py  what a search gives, and what it may be asked for
length.py      scores of hypotheses of unlike length made comparable
candidates.py  the tokens that a search considers, where not all of them
prefixes.py    tokens that come first, whatever would be found
greedy.py      the likeliest token after the likeliest token
beam.py        the best hypotheses of a beam
forced.py      the log-probabilities of given translations
sampling.py    what tokens are drawn by
sample.py      tokens drawn by their probability
"""

from __future__ import annotations

from int8ref.search.hypothesis import BeamOptions, Hypothesis, Normalization, Sampling

__all__ = ["BeamOptions", "Hypothesis", "Normalization", "Sampling"]
