"""Tiny models of every kind with extreme weights, and their agreement with the integer models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tiny_marian
from numpy.typing import NDArray

from int8ref.engines.backends import BACKENDS, load_engine
from int8ref.program.program import Program, Tensors
from int8ref.program.validate import validate
from tests.helpers.machine_text import machine_text
from weights_import.calibrate import calibrate
from weights_import.float_forward import forced
from weights_import.float_model import Float32, FloatModel, declare
from weights_import.float_search import greedy
from weights_import.lower import lower
from weights_import.options import Options

SELF = {"decoder_cell": "self_attention"}
ALONE = SELF | {"encoder_layers": 0, "source_vocabulary": 0, "norm_position": "pre"}
LLAMA = ALONE | {
    "norm": "rms",
    "activation": "swish",
    "gated": True,
    "start": 2,
    "max_positions": 24,
    "embedding_scale": 1.0,
}
KINDS: dict[str, dict[str, Any]] = {
    "recurrent": {},
    "recurrent, pre-norm, swish": {"norm_position": "pre", "activation": "swish"},
    "post-norm": SELF | {"embedding_norm": True, "max_positions": 24, "activation": "gelu"},
    "pre-norm": SELF | {"norm_position": "pre", "norm": "l1"},
    "integer": SELF | {"norm": "l1", "attention": "polynomial", "degree": 2, "max_positions": 24},
    "integer, degree 4": SELF | {"norm_position": "pre", "attention": "polynomial", "degree": 4},
    "decoder, degree 1": ALONE | {"attention": "polynomial", "degree": 1},
    "llama": LLAMA | {"biases": False, "key_heads": 1, "rotary": (1.0, 0.1)},
    "llama, biases, relu": LLAMA | {"activation": "relu", "rotary": (1.0,)},
}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"requantize": "shift"},
    {"scales": "tensor"},
    {"residual": 8},
    {"residual": 8, "scales": "tensor", "requantize": "shift"},
    {"clip": "max"},
    {"weights": "full"},
    {"rescaling": "dynamic"},
    {"rescaling": "dynamic", "scales": "tensor"},
    {"rescaling": "dynamic", "requantize": "shift"},
]
STEPS = 6
Batch = list[list[int]]


def random_model(kind: str, seed: int = 3) -> FloatModel:
    """Return a model whose translations do not end at once."""
    random = np.random.default_rng(seed)
    architecture = replace(tiny_marian.ARCHITECTURE, **KINDS[kind])
    tensors: dict[str, Float32] = {}
    for name, declared in declare(architecture).items():
        if declared.required or name == "output.bias":
            middle, spread = (1.0, 0.1) if name.endswith("gain") else (0.0, 0.5)
            tensors[name] = random.normal(middle, spread, declared.shape).astype(np.float32)
    tensors["output.bias"][architecture.eos] = -9
    return FloatModel(architecture, tensors)


def sentences(model: FloatModel, count: int, seed: int) -> Batch:
    random = np.random.default_rng(seed)
    size, around = model.architecture.target_vocabulary, model.architecture.frame.around
    return [around(random.integers(2, size, random.integers(1, 9)).tolist()) for _ in range(count)]


def imported(model: FloatModel, **options: Any) -> tuple[Program, Tensors]:
    """Return a valid Program of the model, calibrated on a few sentences."""
    ranges = calibrate(model, sentences(model, 40, 0))
    program, tensors = lower(model, ranges, Options(positions=16, **options))
    validate(program, tensors)
    return program, tensors


@dataclass(frozen=True)
class Agreement:
    """The agreement of the integer model and the float model along float translations.

    divergence  mean divergence of the probabilities in nats
    same        share of steps with the same most likely token
    """

    divergence: float
    same: float


def agreement(model: FloatModel, program: Program, tensors: Tensors) -> Agreement:
    """Return the agreement of a model with its Program on the compiled backend."""
    batch = sentences(model, 6, 1)
    alone = model.architecture.encoder_layers == 0
    paths = [path[:STEPS] for path in (batch if alone else greedy(model, batch))]
    batch = [[] for _ in batch] if alone else batch
    padded = [[*path, *[5] * STEPS][:STEPS] for path in paths]
    real = np.arange(STEPS + 1) <= np.array([[len(path)] for path in paths])
    exact = log_softmax(np.stack(forced(model, batch, padded)))[real]
    unit = program.log_softmax.multiplier * 2.0 ** -(program.log_softmax.shift + 20) * np.log(2)
    found = log_softmax(logits(program, tensors, batch, padded, ["compiled"]) * unit)[real]
    lost = (np.exp(exact) * (exact - found)).sum(axis=-1)
    same = exact.argmax(axis=-1) == found.argmax(axis=-1)
    return Agreement(float(lost.mean()), float(same.mean()))


def logits(
    program: Program,
    tensors: Tensors,
    batch: Batch,
    targets: Batch,
    backends: Sequence[str] = BACKENDS,
) -> NDArray[Any]:
    """Return integer logits along the targets [sentences, steps, vocabulary].

    The backends must give equal logits.
    """
    machine_text()
    ids = [np.full(len(batch), program.start), *np.array(targets).T]
    found = []
    for session in (load_engine(program, tensors, b).session(batch) for b in backends):
        steps = [session.step(tokens.astype(np.int32)) for tokens in ids]
        found.append(np.stack(steps, axis=1))
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    return found[0]


def log_softmax(x: NDArray[Any]) -> NDArray[np.float64]:
    """Return natural logarithms.  A probability below e^-500 counts as e^-500."""
    distance = x.astype(np.float64) - x.max(axis=-1, keepdims=True)
    distance = np.maximum(distance, -500)
    found: NDArray[np.float64] = distance - np.log(np.exp(distance).sum(axis=-1, keepdims=True))
    return found
