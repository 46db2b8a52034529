"""Integer search for translations: greedy search, beam search, sampling and forced decoding.

request.py     the input of a search: one record for each sentence
hypothesis.py  the result of a search, and its options
decoder.py     the part of an engine that a search uses
checks.py      errors about integers and about sequences of integers
length.py      scores that compare hypotheses of different length
greedy.py      greedy search: the likeliest token in every step
beam.py        beam search
forced.py      the log-probabilities of given translations
sampling.py    the weights and random numbers of sampling
sample.py      sampling: tokens drawn by their probability

This module imports no NumPy, because the options do not need it.
"""

from __future__ import annotations

from int8ref.search.hypothesis import BeamOptions, Hypothesis, Sampling
from int8ref.spec.limits import Normalization

__all__ = ["BeamOptions", "Hypothesis", "Normalization", "Sampling"]
