"""Digests over all values of models that have a name, on `sentences.TEXTS`."""

from __future__ import annotations

DIGESTS: dict[str, str] = {}
"""SHA-256 of the model file -> digest."""
