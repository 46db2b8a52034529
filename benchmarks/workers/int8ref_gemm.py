"""int8ref's matrix products, as instructions of the random Transformer.

The instructions include fused work (bias, rescaling to int8, argmax).  They run in the machine code
of translations.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.instructions import instructions
from int8ref.engines.compiled import CompiledEngine
from int8ref.files.model_file import load
from int8ref.kernels.gemm.target import TARGET

PACKAGES = ("int8ref", "numba", "numpy")


class Engine:
    """Runs single matrix products of int8ref.

    options: {"folder"}

    work: {"rows", "outputs", "inputs", "repeats": number of products of a run}
    """

    def __init__(self, options: dict[str, Any]) -> None:
        model = load(Path(options["folder"], "int8ref.safetensors"))
        self._program, self._tensors = model.program, model.tensors
        self._code = CompiledEngine(model.program, model.tensors).code()
        self.description = f"dot products: {TARGET.name}"

    def prepare(self, work: dict[str, Any]) -> Callable[[], None]:
        eos = self._program.eos
        wanted = f"linear {work['outputs']}x{work['inputs']}"
        # A row of the encoder is a token.  A row of a decoder step is a sentence.
        shapes = {
            "encoder": [[eos] * work["rows"]],
            "decoder": [[eos]] * work["rows"],
        }
        for sequence, batch in shapes.items():
            for timed in instructions(self._program, self._tensors, self._code, batch):
                if timed.sequence == sequence and timed.label == wanted:
                    return lambda run=timed.run: run(work["repeats"])
        raise ValueError(f"the model has no {wanted}")
