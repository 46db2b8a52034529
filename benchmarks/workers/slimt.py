"""slimt, a smaller Bergamot, from its Python wheel.  It is loaded as `bergamot` is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.workers.bergamot import load_extension

PACKAGES = ("slimt",)


class Engine:
    """Runs slimt.

    work: {"text": file, "size": 1}, one sentence a call, or {"text": file}, all sentences in one
    call
    """

    def __init__(self, options: dict[str, Any]) -> None:
        api: Any = load_extension("slimt", "_slimt")
        package = api.Package(
            model=options["model"],
            vocabulary=options["vocabulary"],
            shortlist=options["shortlist"],
        )
        configuration = api.preset.tiny()
        configuration.split_mode = "sentence"
        self._model = api.Model(configuration, package)
        self._service = api.Service(workers=1, cache_size=0)

    def prepare(self, work: dict[str, Any]) -> Callable[[], list[str]]:
        lines = Path(work["text"]).read_text(encoding="utf-8").splitlines()
        batches = [[line] for line in lines] if "size" in work else [lines]

        def run() -> list[str]:
            return [r.target.text for b in batches for r in self._service.translate(self._model, b)]

        return run
