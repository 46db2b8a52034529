"""`python -m benchmarks.prepare.random_weights SHAPE FOLDER`: writes weights.npz.

All contestants use these weights.  Weights are Glorot-normal [out, in].  Embeddings have the
deviation d^-1/2, so their variance is 1 after scaling by d^1/2.  Gains are near 1, and biases are
near 0.  The output layer is not tied to the embeddings, because a model with tied random weights
repeats its input.  Equal outputs would then not show that two engines compute the same function.
The bias of eos is so low that no search chooses eos.  Therefore every translation has the maximum
length.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.shapes import EOS, POSITIONS, SHAPES, Shape

Float32 = npt.NDArray[np.float32]
NEVER = -100.0
"""Bias of eos.  Logits have a variance of about 1."""


def weights(shape: Shape, seed: int = 1) -> dict[str, Float32]:
    """Return every tensor by name."""
    draw = np.random.default_rng(seed)
    d = shape.d_model

    def normal(deviation: float, *sizes: int) -> Float32:
        return draw.standard_normal(sizes, np.float32) * np.float32(deviation)

    made = {"positions": position_table(d)}
    for side in ("source", "target"):
        made[f"{side}_embedding"] = normal(d**-0.5, shape.vocabulary, d)
    for name, (outputs, inputs) in _linear_layers(shape):
        made[f"{name}.weight"] = normal((2 / (outputs + inputs)) ** 0.5, outputs, inputs)
        made[f"{name}.bias"] = normal(0.02, outputs)
    for name in _norms(shape):
        made[f"{name}.gain"] = 1 + normal(0.1, d)
        made[f"{name}.bias"] = normal(0.1, d)
    made["output.weight"] = normal(d**-0.5, shape.vocabulary, d)
    made["output.bias"] = normal(0.1, shape.vocabulary)
    made["output.bias"][EOS] = NEVER
    return made


def position_table(d: int) -> Float32:
    """Return sinusoidal positions [POSITIONS, d]: all sines, then all cosines."""
    frequencies = 10000.0 ** -np.linspace(0.0, 1.0, d // 2)
    angles = np.arange(POSITIONS)[:, None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def blocks(shape: Shape) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield every sublayer with its linear layers, in the order of computation."""
    attention = ("query", "key", "value", "output")
    first = {"self_attention": ("self", attention), "ssru": ("ssru", ("cell", "gate"))}
    ffn = ("ffn", ("inner", "outer"))
    stacks = {
        "encoder": (shape.encoder_layers, [("self", attention), ffn]),
        "decoder": (
            shape.decoder_layers,
            [first[shape.decoder_cell], ("cross", attention), ffn],
        ),
    }
    for stack, (depth, sublayers) in stacks.items():
        for layer in range(depth):
            for name, parts in sublayers:
                yield f"{stack}.{layer}.{name}", parts


def _linear_layers(shape: Shape) -> Iterator[tuple[str, tuple[int, int]]]:
    d, d_ffn = shape.d_model, shape.d_ffn
    sizes = {"inner": (d_ffn, d), "outer": (d, d_ffn)}
    for block, parts in blocks(shape):
        for part in parts:
            yield f"{block}.{part}", sizes.get(part, (d, d))


def _norms(shape: Shape) -> Iterator[str]:
    return (f"{block}.norm" for block, _ in blocks(shape))


if __name__ == "__main__":
    np.savez(Path(sys.argv[2], "weights.npz"), **weights(SHAPES[sys.argv[1]]))
