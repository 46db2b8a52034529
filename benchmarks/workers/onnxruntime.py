"""ONNX Runtime on a Transformer of random weights, with dynamic int8 quantisation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workers.lean_search import LeanSearch

PACKAGES = ("onnxruntime",)
BEAM = 4


class Engine(LeanSearch):
    """Runs ONNX Runtime.  The graph selects the candidates of a beam of the fixed size 4.

    options: {"folder", "type": int8 or float32, "heads"}

    work: see `LeanSearch`
    """

    def __init__(self, options: dict[str, Any]) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        ending = {"int8": ".int8.onnx", "float32": ".onnx"}[options["type"]]

        def load(graph: str) -> Any:
            path = str(Path(options["folder"], graph + ending))
            return onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])

        self._load = load
        self._encoder, self._step, self._beam = load("encoder"), load("step"), None
        names = [given.name for given in self._step.get_inputs()]
        self._memory = [name for name in names if name.startswith("memory")]
        self._past = [name for name in names if name.startswith("past")]
        table = self._step.get_inputs()[-1].shape
        self._heads, self._head_size = table[1], table[3]
        self.first = options["vocabulary"]

    def encode(self, source: Any) -> list[Any]:
        return self._encoder.run(None, {"ids": source})

    def start(self, rows: int) -> list[Any]:
        return [np.zeros((rows, self._heads, 0, self._head_size), np.float32)] * len(self._past)

    def likeliest(
        self, ids: Any, position: int, memory: list[Any], past: list[Any]
    ) -> tuple[Any, list[Any]]:
        logits, *new = self._step.run(None, self._inputs(ids, position, memory, past))
        return logits.argmax(-1), new

    def candidates(
        self, ids: Any, position: int, memory: list[Any], past: list[Any], count: int
    ) -> tuple[Any, Any, list[Any]]:
        if count != BEAM:
            raise ValueError(f"the graph has a beam of {BEAM}, not {count}")
        if self._beam is None:
            self._beam = self._load("beam")
        values, tokens, *new = self._beam.run(None, self._inputs(ids, position, memory, past))
        return values, tokens, new

    def repeat(self, memory: list[Any], times: int) -> list[Any]:
        return [np.repeat(tensor, times, 0) for tensor in memory]

    def reorder(self, past: list[Any], rows: Any) -> list[Any]:
        return [tensor[rows] for tensor in past]

    def _inputs(
        self, ids: Any, position: int, memory: list[Any], past: list[Any]
    ) -> dict[str, Any]:
        return {
            "ids": ids,
            "position": np.array(position),
            **dict(zip(self._memory, memory, strict=True)),
            **dict(zip(self._past, past, strict=True)),
        }
