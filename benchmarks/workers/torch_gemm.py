"""PyTorch's int8 matrix products."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

PACKAGES = ("torch",)


class Engine:
    """Runs matrix products of PyTorch.

    options: {"kind": name of a method of this class}

    work: see `int8ref_gemm`
    """

    def __init__(self, options: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        self._make = getattr(self, options["kind"])
        self.description = torch.backends.cpu.get_cpu_capability()

    def prepare(self, work: dict[str, Any]) -> Callable[[], None]:
        multiply = self._make(work["rows"], work["outputs"], work["inputs"])
        repeats = range(work["repeats"])

        def run() -> None:
            for _ in repeats:
                multiply()

        return run

    def int_mm(self, rows: int, outputs: int, inputs: int) -> Callable[[], Any]:
        """Multiply int8 by int8 to int32.  The weight [outputs, inputs] is a transposed view."""
        x = torch.randint(-127, 128, (rows, inputs), dtype=torch.int8)
        weight = torch.randint(-127, 128, (outputs, inputs), dtype=torch.int8).t()
        return lambda: torch._int_mm(x, weight)

    def dynamic_linear(self, rows: int, outputs: int, inputs: int) -> Callable[[], Any]:
        """Multiply float32 to float32 through int8, with a packed weight."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # this quantisation API is deprecated
            model = torch.nn.Sequential(torch.nn.Linear(inputs, outputs))
            model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear})
        x = torch.randn(rows, inputs)
        return lambda: model(x)
