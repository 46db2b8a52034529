"""`python -m benchmarks.prepare.onnx_export SHAPE FOLDER`: exports the PyTorch model to ONNX.

The export is float32.  It has three graphs: the encoder, a decoder step that returns logits, and a
decoder step that returns the most likely tokens with their log-probabilities, for beam search.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks.shapes import SHAPES, random_batch
from benchmarks.workers.torch_model import Transformer

BEAM = 4
OPSET = 17


class Encoder(torch.nn.Module):
    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(tensor for pair in self.model.encode(ids) for tensor in pair)


class Step(torch.nn.Module):
    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, ids: torch.Tensor, position: torch.Tensor, *caches: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        pairs = list(zip(caches[::2], caches[1::2], strict=True))
        depth = len(self.model.decoder)
        logits, new = self.model.step(ids, position, pairs[:depth], pairs[depth:])
        return (*self.finish(logits), *(tensor for pair in new for tensor in pair))

    def finish(self, logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (logits,)


class BeamStep(Step):
    def finish(self, logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values, tokens = torch.log_softmax(logits, -1).topk(BEAM, -1)
        return values, tokens


def names(kind: str, depth: int) -> list[str]:
    """Return the names of the key and value tensors of a kind: memory, past or new."""
    return [f"{kind}.{layer}.{part}" for layer in range(depth) for part in ("key", "value")]


def main(shape_name: str, folder: Path) -> None:
    """Write encoder.onnx, step.onnx and beam.onnx."""
    shape = SHAPES[shape_name]
    model = Transformer(folder / "weights.npz", shape.heads).eval()
    depth, rows = shape.decoder_layers, 2
    memory, past, new = (names(kind, depth) for kind in ("memory", "past", "new"))
    source = torch.tensor(random_batch(shape, rows, 8))
    empty = torch.zeros(rows, shape.heads, 3, model.head_size)
    memories = [tensor for pair in model.encode(source) for tensor in pair]
    inputs = (torch.zeros(rows, dtype=torch.long), torch.tensor(3), *memories, *[empty] * 2 * depth)
    rows_by_time: dict[str, Any] = {name: {0: "rows", 2: "tokens"} for name in memory}
    steps = {**rows_by_time, "ids": {0: "rows"}}
    steps |= {name: {0: "rows", 2: "before"} for name in past}
    steps |= {name: {0: "rows", 2: "after"} for name in new}
    _export(Encoder(model), (source,), folder / "encoder.onnx", ["ids"], memory,
            {"ids": {0: "rows", 1: "tokens"}, **rows_by_time})  # fmt: skip
    for kind, outputs in ((Step, ["logits"]), (BeamStep, ["values", "tokens"])):
        file = "step.onnx" if kind is Step else "beam.onnx"
        axes = steps | {name: {0: "rows"} for name in outputs}
        given = ["ids", "position", *memory, *past]
        _export(kind(model), inputs, folder / file, given, [*outputs, *new], axes)


def _export(
    module: torch.nn.Module,
    inputs: tuple[Any, ...],
    path: Path,
    given: list[str],
    made: list[str],
    axes: dict[str, Any],
) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            inputs,
            str(path),
            input_names=given,
            output_names=made,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
