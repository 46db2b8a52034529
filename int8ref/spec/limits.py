"""The limits of a search."""

from __future__ import annotations

from typing import Literal

Normalization = Literal["length", "gnmt", "none"]
"""Kinds of the length penalty (`search.length.penalty`)."""
MAX_BEAM = 64
"""Largest number of hypotheses of a sentence."""
MAX_ALPHA = 1000
"""Largest exponent of the length penalty, in hundredths."""
MAX_TOKENS = 1 << 13
"""Largest number of tokens of a hypothesis.  The magnitude of their summed log-probabilities is at
most 2^43."""
MAX_TEMPERATURE = 10_000
"""Largest temperature, in hundredths."""
ALL = 100
"""Probability 1, in hundredths."""
MAX_TOP_K = 2**31
MAX_SEED = 2**63 - 1
MAX_TEXTS = 2**44
"""Number of texts that have random numbers of their own (`search.sampling`)."""
