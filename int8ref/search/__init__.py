"""Search for the best translation, in integers: greedy, beam search, and forced decoding.

request.py     what a search is asked for, a record a sentence
hypothesis.py  what a search gives, and how it searches
decoder.py     what a search needs of an engine
checks.py      errors for people, of integers and of sequences of them
length.py      scores of hypotheses of unlike length made comparable
greedy.py      the likeliest token after the likeliest token
beam.py        the best hypotheses of a beam
forced.py      the log-probabilities of given translations
sampling.py    what tokens are drawn by
sample.py      tokens drawn by their probability

What is imported here needs no NumPy, because options do not.
"""

from __future__ import annotations

from int8ref.search.hypothesis import BeamOptions, Hypothesis, Normalization, Sampling

__all__ = ["BeamOptions", "Hypothesis", "Normalization", "Sampling"]
