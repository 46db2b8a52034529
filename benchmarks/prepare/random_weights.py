"""`python -m benchmarks.prepare.random_weights SHAPE FOLDER`: weights.npz, the same for everybody.

Weights are Glorot-normal [out, in], embeddings have a deviation of d^-1/2 (so that they have unit
variance once they are scaled by d^1/2), gains are near 1 and biases near 0.  The output layer is
not tied to the embeddings: with tied random weights a model repeats its input, and then equal
outputs would not show that two engines compute the same.  Its bias keeps eos from ever being
chosen, so that every translation is as long as it may be.
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
"""Bias of eos; logits have about unit variance."""


def weights(shape: Shape, seed: int = 1) -> dict[str, Float32]:
    """Every tensor by name."""
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
    """Sinusoidal positions [POSITIONS, d], all sines before all cosines."""
    frequencies = 10000.0 ** -np.linspace(0.0, 1.0, d // 2)
    angles = np.arange(POSITIONS)[:, None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def blocks(shape: Shape) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every sublayer and the linear layers in it, in the order of the data."""
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
