"""Digests of what the importer makes of random models of every kind.

python model_digests.py    a line of JSON: the processor, and the digests of each kind
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import every_kind
import msgspec
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from int8ref.host.cpu import cpu
from int8ref.search.hypothesis import BeamOptions
from weights_import.arithmetic.distribution import log_probabilities
from weights_import.calibrate import calibration
from weights_import.float_model import FloatModel
from weights_import.float_search import beam, sample
from weights_import.forward import forced
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions

SIZES = every_kind.Sizes(width=24, heads=2, hidden=300, vocabulary=70, positions=32)
"""Several strips of weights, and several of them in a task of a thread."""
SENTENCES = 20
"""More than a thread takes at once, and more rows than a block of a product has."""
OPTIONS: dict[str, dict[str, Any]] = {
    "recurrent": {},
    "recurrent, pre-norm, swish": {"requantize": "shift"},
    "post-norm": {"clip": "percentile:99.9"},
    "pre-norm": {"rescaling": "dynamic"},
    "integer": {"weights": "full"},
    "integer, degree 4": {"scales": "tensor"},
    "decoder, degree 1": {"residual": 8, "rescaling": "static"},
    "decoder, tanh": {"clip": "max"},
    "relative": {"rescaling": "dynamic"},
    "llama": {},
    "llama, biases, relu": {"rescaling": "dynamic", "scales": "tensor"},
    "llama, norms of heads": {},
    "llama, norms of rows": {"weights": "full"},
}

Digests = dict[str, str]
"""Name of a result -> the digest of its bytes."""


def exact(random: Generator, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Magnitudes as those of a trained model, from integers: no function rounds them."""
    numbers = np.ldexp(random.integers(-(2**20), 2**20, shape).astype(np.float64), -20)
    part = name.rpartition(".")[2]
    if part in ("gain", "delta"):
        return 1 + numbers / 2
    return numbers / 4 if len(shape) == 1 else numbers * 1.5 / np.sqrt(shape[-1])


def model_of(kind: str) -> FloatModel:
    return every_kind.random_model(kind, sizes=SIZES, fill=exact, max_length_factor=1.0)


def results(kind: str) -> Iterator[tuple[str, bytes]]:
    """What the float model computes, and the integer model."""
    model = model_of(kind)
    text = every_kind.sentences(model, SENTENCES, 0, 20)
    options = LoweringOptions(positions=24, **OPTIONS[kind])
    calibrated = calibration(model, text, options.positions)
    sources, targets = calibrated.sources, calibrated.targets
    yield "translations", json.dumps(targets).encode()
    logits = np.concatenate(forced(model, sources, targets))
    yield "logits", logits.tobytes()
    yield "log-probabilities", log_probabilities(logits).tobytes()
    if model.translates:
        yield "beam", repr(beam(model, sources[:5], BeamOptions(beam_size=3))).encode()
    else:
        yield "sample", json.dumps(sample(model, 5, 20)).encode()
    program, tensors = lower(model, sources, targets, options)
    yield "program", msgspec.json.encode(program)
    for name, tensor in tensors.items():
        yield name, str((tensor.dtype, tensor.shape)).encode() + tensor.tobytes()


def digests(kind: str) -> Digests:
    return {name: hashlib.sha256(content).hexdigest() for name, content in results(kind)}


def processor() -> dict[str, Any]:
    """The name that Numba compiles for, and the vector units that NumPy uses beyond the least."""
    extensions: Any = np.show_config(mode="dicts")
    return {"numba": cpu()[1], "numpy": extensions["SIMD Extensions"].get("found", [])}


if __name__ == "__main__":
    print(json.dumps([processor(), {kind: digests(kind) for kind in every_kind.KINDS}]))
