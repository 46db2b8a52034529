"""The agreement of tiny float models, as `every_kind` makes them, with their integer models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import every_kind
import numpy as np
from numpy.typing import NDArray

from int8ref.engines.backends import BACKENDS, load_engine
from int8ref.program.program import Program, Tensors
from int8ref.program.validate import validate
from tests.helpers.machine_text import machine_text
from weights_import.calibrate import calibration
from weights_import.float_model import FloatModel
from weights_import.float_search import greedy
from weights_import.forward import forced
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions

OPTIONS: list[dict[str, Any]] = [
    {},
    {"requantize": "shift"},
    {"scales": "tensor"},
    {"residual": 8},
    {"residual": 8, "scales": "tensor", "requantize": "shift"},
    {"clip": "max"},
    {"weights": "full"},
    {"rescaling": "static"},
    {"rescaling": "dynamic"},
    {"rescaling": "dynamic", "scales": "tensor"},
    {"rescaling": "dynamic", "requantize": "shift"},
]
STEPS = 6
Batch = list[list[int]]


def imported(model: FloatModel, **options: Any) -> tuple[Program, Tensors]:
    """Return a valid Program of the model, calibrated on a few sentences."""
    text = calibration(model, every_kind.sentences(model, 40, 0))
    chosen = LoweringOptions(positions=16, **options)
    program, tensors = lower(model, text.sources, text.targets, chosen)
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
    batch = every_kind.sentences(model, 6, 1)
    paths = [path[:STEPS] for path in (greedy(model, batch) if model.translates else batch)]
    batch = batch if model.translates else [[] for _ in batch]
    padded = [[*path, *[5] * STEPS][:STEPS] for path in paths]
    real = np.arange(STEPS + 1) <= np.array([[len(path)] for path in paths])
    exact = log_softmax(np.stack(forced(model, batch, padded)))[real]
    unit = program.log_softmax.multiplier * 2.0 ** -(program.log_softmax.shift + 20) * np.log(2)
    found = program.log_softmax.capped(logits(program, tensors, batch, padded, ["compiled"]))
    found = log_softmax(found * unit)[real]
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
