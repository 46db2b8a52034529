"""What a search may be asked for."""

from __future__ import annotations

MAX_BEAM = 64
"""Most hypotheses of a sentence."""
MAX_ALPHA = 1000
"""Largest exponent of the length, in hundredths."""
MAX_TOKENS = 1 << 13
"""Most tokens of a hypothesis: the sum of their log-probabilities stays below 2^43."""
MAX_TEMPERATURE = 10_000
"""In hundredths, as shares are."""
ALL = 100
"""The whole probability, in hundredths."""
MAX_TOP_K = 2**31
MAX_SEED = 2**63 - 1
MAX_TEXTS = 2**44
"""Texts that have random numbers of their own (`search.sampling`)."""
