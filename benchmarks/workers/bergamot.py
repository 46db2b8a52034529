"""Bergamot, the C++ translator of Firefox, from its Python wheel.

The package of the wheel downloads a list of models on import.  Its extension module is the
translator, so this file loads the extension module without the package.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = ("bergamot",)

CONFIGURATION = """\
relative-paths: false
models: [{model}]
vocabs: [{vocabulary}, {vocabulary}]
shortlist: [{shortlist}, false]
beam-size: 1
normalize: 1.0
word-penalty: 0
mini-batch: 64
maxi-batch: 1000
maxi-batch-sort: src
workspace: 128
max-length-factor: 2.5
gemm-precision: int8shiftAlphaAll
ssplit-prefix-file: ""
ssplit-mode: sentence
max-length-break: 128
mini-batch-words: {words}
skip-cost: true
"""
"""The published configuration without alignments and scores, because this is faster."""


def load_extension(package: str, name: str) -> ModuleType:
    """Load the extension module of a package without importing the package."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"{package} is not installed")
    folder = Path(found.submodule_search_locations[0])
    (path,) = folder.glob(f"{name}*.so")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Engine:
    """Runs Bergamot.

    work: {"text": file, "size": 1}, one sentence a call, or {"text": file, "words": largest number
    of source words of a batch}, all sentences in one call.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._api: Any = load_extension("bergamot", "_bergamot")
        configuration = self._api.ServiceConfig(numWorkers=1, cacheSize=0, logLevel="off")
        self._service = self._api.Service(configuration)

    def prepare(self, work: dict[str, Any]) -> Callable[[], list[str]]:
        model = self._load(work.get("words", 1024))
        lines = Path(work["text"]).read_text(encoding="utf-8").splitlines()
        batches = [lines] if "words" in work else [[line] for line in lines]
        wanted = self._api.ResponseOptions(
            qualityScores=False, alignment=False, HTML=False, sentenceMappings=False
        )
        translate, vector = self._service.translate, self._api.VectorString

        def run() -> list[str]:  # a call empties its vector
            results = (translate(model, vector(batch), wanted) for batch in batches)
            return [result.target.text for found in results for result in found]

        return run

    def _load(self, words: int) -> Any:
        descriptor, path = tempfile.mkstemp(suffix=".yml")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(CONFIGURATION.format(words=words, **self._options))
            return self._service.modelFromConfigPath(path)
        finally:
            os.unlink(path)
