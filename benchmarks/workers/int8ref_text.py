"""int8ref on text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from int8ref.options import Options
from int8ref.translation.ready import Speed
from int8ref.translator import load

PACKAGES = ("int8ref", "numba", "numpy")


class Engine:
    """Runs int8ref on text.

    options: {"model": name or path, "options": fields of `int8ref.options.Options`}

    work: {"text": file, "size": largest number of sentences of a batch, "threads"}
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._translator = load(options["model"])
        self._options = Options(**options.get("options", {}))

    def prepare(self, work: dict[str, Any]) -> Callable[[], list[str]]:
        lines = Path(work["text"]).read_text(encoding="utf-8").splitlines()
        speed = Speed(work["size"], work.get("threads", 1))

        def run() -> list[str]:
            self._translator.speed = speed  # all cases share one engine and its weights
            return [result.text for result in self._translator.translate(lines, self._options)]

        return run
