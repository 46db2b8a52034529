"""Marian in float32, from the pymarian wheel, with the whole vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGES = ("pymarian",)


class Engine:
    """Runs Marian.

    work: {"text": file, "size": largest number of sentences of a batch}
    """

    def __init__(self, options: dict[str, Any]) -> None:
        import pymarian

        self._options = options
        self._translator = pymarian.Translator

    def prepare(self, work: dict[str, Any]) -> Callable[[], list[str]]:
        arguments = {
            "models": self._options["float_model"],
            "vocabs": " ".join([self._options["vocabulary"]] * 2),
            "cpu-threads": 1,
            "beam-size": 1,
            "normalize": 1,
            "mini-batch": work["size"],
            "maxi-batch": 1000,
            "maxi-batch-sort": "src",
            "workspace": 512,
            "max-length-factor": 2.5,
        }
        switches = "--skip-cost --quiet --quiet-translation"
        told = " ".join(f"--{name} {value}" for name, value in arguments.items())
        translator = self._translator(f"{told} {switches}")
        lines = Path(work["text"]).read_text(encoding="utf-8").splitlines()
        calls = ["\n".join(lines)] if work["size"] > 1 else lines
        return lambda: [t for call in calls for t in translator.translate(call).split("\n")]
