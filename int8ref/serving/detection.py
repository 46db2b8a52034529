"""Detects the language of a text with py3langid, offline."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any

from int8ref.serving.service_errors import ServiceError

CHARACTERS = 4000
"""Largest number of characters of a text that are looked at."""


class Detector:
    """Detects languages among those that the service reads.

    languages  the source languages of the service

    Without the library, or without a language that it knows, `available` is false.
    """

    def __init__(self, languages: Collection[str]) -> None:
        self._lock = threading.Lock()
        self._identifier: Any = None
        try:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier
        except ImportError:
            return
        found = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        known = set(found.labels)
        names = {code: code.partition("_")[0].partition("-")[0].lower() for code in languages}
        self._codes = {name: code for code, name in names.items() if name in known}
        if self._codes:
            found.set_languages([*self._codes])
            self._identifier = found

    @property
    def available(self) -> bool:
        """Whether languages can be detected."""
        return self._identifier is not None

    def detect(self, text: str) -> list[dict[str, Any]]:
        """Return the likeliest languages of a text, best first, with a confidence from 0 to 100.

        Raises `ServiceError` if no language can be detected.
        """
        if self._identifier is None:
            told = "languages cannot be detected here: name the source language"
            raise ServiceError(400, f"{told}, or install the extra: pip install 'int8ref[serve]'")
        with self._lock:
            ranked = self._identifier.rank(text[:CHARACTERS])
        return [
            {"confidence": round(share * 100), "language": self._codes[name]}
            for name, share in ranked
            if share * 100 >= 1
        ]
