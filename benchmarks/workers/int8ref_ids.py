"""int8ref on a Transformer of random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from int8ref.engines.backends import load_engine
from int8ref.files.model_file import load
from int8ref.kernels.gemm.target import TARGET
from int8ref.search.hypothesis import BeamOptions
from int8ref.search.request import Request

PACKAGES = ("int8ref", "numba", "numpy")


class Engine:
    """Runs int8ref on token ids.

    options: {"folder"}

    work: {"source": ids of each sentence, "length": number of target tokens, "beam"}
    """

    def __init__(self, options: dict[str, Any]) -> None:
        model = load(Path(options["folder"], "int8ref.safetensors"))
        self._engine = load_engine(model.program, model.tensors)
        self.description = f"dot products: {TARGET.name}"

    def prepare(self, work: dict[str, Any]) -> Callable[[], list[list[int]]]:
        engine = self._engine
        requests = [Request(ids, work["length"]) for ids in work["source"]]
        if work["beam"] == 1:
            return lambda: engine.greedy(requests)
        options = BeamOptions(beam_size=work["beam"])
        return lambda: [list(best.ids) for best, *_ in engine.beam(requests, options)]
