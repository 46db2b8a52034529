"""What the numbers of a CTranslate2 model stand for."""

from __future__ import annotations

import math

from weights_import.arithmetic.activations import Activation
from weights_import.errors import CheckpointError
from weights_import.sources.ctranslate2_variables import Variables

LAYER_NORM_EPSILON, RMS_NORM_EPSILON = 1e-5, 1e-6
"""Where the configuration tells none."""
ACTIVATIONS: dict[float, Activation] = {0: "relu", 1: "gelu_tanh", 2: "swish", 3: "gelu"}
OTHERS = {4: "x sigmoid(1.702 x)", 5: "tanh", 6: "sigmoid"}
SCALES = (
    "scale_embeddings",
    "embeddings/multiply_by_sqrt_depth",
    "embeddings_0/multiply_by_sqrt_depth",
)
"""Where a file may say what embeddings are multiplied by; the last one counts."""


def activation(number: float) -> Activation:
    """The activation of a hidden layer; raises CheckpointError for one that is not supported."""
    if number not in ACTIVATIONS:
        known = ", ".join(f"{one:g} {name}" for one, name in ACTIVATIONS.items())
        name = f", {OTHERS[int(number)]}," if number in OTHERS else ""
        raise CheckpointError(f"activation {number:g}{name} is not read (supported: {known})")
    return ACTIVATIONS[number]


def embedding_scale(variables: Variables, stack: str, width: int) -> float:
    """What the embeddings of a stack are multiplied by: the root of their width, unless a flag says
    no, or a number says what."""
    scale = math.sqrt(width)
    for name in SCALES:
        if (at := f"{stack}/{name}") in variables:
            told = variables.number(at, 1)
            scale = told if not variables.is_flag(at) else scale if told else 1.0
    return scale
