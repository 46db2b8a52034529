"""PyTorch on a Transformer of random weights: float32, or dynamic int8 (linear layers)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks.workers.lean_search import LeanSearch
from benchmarks.workers.torch_model import Cache, Transformer

PACKAGES = ("torch",)


class Engine(LeanSearch):
    """Runs PyTorch.

    options: {"folder", "type": float32 or int8, "heads"}

    work: see `LeanSearch`
    """

    def __init__(self, options: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        model = Transformer(Path(options["folder"], "weights.npz"), options["heads"]).eval()
        if options["type"] == "int8":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # this quantisation API is deprecated
                torch.ao.quantization.quantize_dynamic(
                    model, {torch.nn.Linear}, dtype=torch.qint8, inplace=True
                )
        self._model = model
        self.first = model.target.num_embeddings - 1
        engine = torch.backends.quantized.engine
        self.description = f"quantised engine {engine}, {torch.backends.cpu.get_cpu_capability()}"

    def encode(self, source: Any) -> Cache:
        with torch.inference_mode():
            return self._model.encode(torch.from_numpy(source))

    def start(self, rows: int) -> Cache:
        empty = torch.zeros(rows, self._model.heads, 0, self._model.head_size)
        return [(empty, empty)] * len(self._model.decoder)

    def likeliest(self, ids: Any, position: int, memory: Cache, past: Cache) -> tuple[Any, Cache]:
        with torch.inference_mode():
            logits, past = self._model.step(torch.from_numpy(ids), position, memory, past)
            return logits.argmax(-1).numpy(), past

    def candidates(
        self, ids: Any, position: int, memory: Cache, past: Cache, count: int
    ) -> tuple[Any, Any, Cache]:
        with torch.inference_mode():
            logits, past = self._model.step(torch.from_numpy(ids), position, memory, past)
            values, tokens = torch.log_softmax(logits, -1).topk(count, -1)
            return values.numpy(), tokens.numpy(), past

    def repeat(self, memory: Cache, times: int) -> Cache:
        return [(k.repeat_interleave(times, 0), v.repeat_interleave(times, 0)) for k, v in memory]

    def reorder(self, past: Cache, rows: Any) -> Cache:
        chosen = torch.from_numpy(rows)
        return [(k.index_select(0, chosen), v.index_select(0, chosen)) for k, v in past]
