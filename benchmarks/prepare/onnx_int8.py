"""`python -m benchmarks.prepare.onnx_int8 SHAPE FOLDER`: quantises the ONNX graphs to int8.

Applies ONNX Runtime's dynamic quantisation to encoder.onnx, step.onnx and beam.onnx.
"""

from __future__ import annotations

import sys
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic

KINDS = ["MatMul", "Gemm", "Gather"]


def main(folder: Path) -> None:
    """Write encoder.int8.onnx and so on: int8 weights, and activations in dynamic ranges."""
    for graph in ("encoder", "step", "beam"):
        quantize_dynamic(
            folder / f"{graph}.onnx",
            folder / f"{graph}.int8.onnx",
            weight_type=QuantType.QInt8,
            op_types_to_quantize=KINDS,
            extra_options={"DefaultTensorType": 1},
        )


if __name__ == "__main__":
    main(Path(sys.argv[2]))
