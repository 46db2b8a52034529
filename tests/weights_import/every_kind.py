"""Random float models of every kind that the importer composes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import random_float_model
from numpy.random import Generator

from weights_import.composer import Normed
from weights_import.float_model import FloatModel
from weights_import.float_program import FloatProgram
from weights_import.operations.addend import Addend
from weights_import.operations.heads import Heads
from weights_import.operations.norm import NormKind
from weights_import.operations.soft_cap import SoftCap
from weights_import.sources import decoder_only, encoder_decoder

Fill = Callable[[Generator, str, tuple[int, ...]], Any]
"""The content of a tensor of a name and a shape."""


@dataclass(frozen=True)
class Sizes:
    width: int = 8
    heads: int = 2
    hidden: int = 12
    vocabulary: int = 11
    positions: int = 24


TINY = Sizes()
ALONE = {"encoder_layers": 0, "pre_norm": True}
TABLES = {"max_positions": TINY.positions, "target_positions": True}
TRANSFORMERS: dict[str, dict[str, Any]] = {
    "recurrent": {"recurrent": True},
    "recurrent, pre-norm, swish": {"recurrent": True, "pre_norm": True, "activation": "swish"},
    "post-norm": TABLES | {"embedding_norm": True, "activation": "gelu"},
    "pre-norm": {"pre_norm": True},
    "integer": TABLES | {"degree": 2},
    "integer, degree 4": {"pre_norm": True, "degree": 4},
    "decoder, degree 1": ALONE | {"degree": 1},
    "decoder, tanh": ALONE | TABLES | {"activation": "gelu_tanh"},
    "relative": {
        "pre_norm": True,
        "gated": True,
        "head_size": 5,
        "activation": "gelu_tanh",
        "addends": {
            f"{stack}.{i}.self": Addend(f"{stack}.{i}.self.addend", 4, after)
            for stack, after in (("encoder", 3), ("decoder", 0))
            for i in range(2)
        },
    },
}
LLAMAS: dict[str, dict[str, Any]] = {
    "llama": {"key_heads": 1, "rotary": (1.0, 0.1)},
    "llama, biases, relu": {"activation": "relu", "rotary": (1.0,)},
    "llama, norms of heads": {
        "rotary": (1.0, 0.1),
        "head_norms": "head",
        "window": 4,
        "norms": "both",
        "score_cap": 3.0,
        "logit_cap": 6.0,
    },
    "llama, norms of rows": {"key_heads": 1, "head_norms": "row", "norms": "behind"},
}
KINDS = (*TRANSFORMERS, *LLAMAS)
NORMS: dict[str, NormKind] = {"pre-norm": "l1", "integer": "l1", "relative": "rms"}
NEVER = -9
"""Of the bias of the token that ends a text, so that texts do not end at once."""


def plain(random: Generator, name: str, shape: tuple[int, ...]) -> Any:
    """Gains are near 1, and all else near 0."""
    return random.normal(1, 0.1, shape) if name.endswith("gain") else random.normal(0, 0.5, shape)


def trained(random: Generator, name: str, shape: tuple[int, ...]) -> Any:
    """Magnitudes as those of a trained model: products have about the size of their inputs."""
    part = name.rpartition(".")[2]
    if part == "gain":
        return random.uniform(0.5, 1.2, shape)
    if part in ("bias", "score_bias"):
        return random.normal(0, 0.1, shape)
    if part == "delta":
        return random.uniform(0.1, 1.5, shape)
    return random.normal(0, shape[-1] ** -0.5, shape)


def random_model(
    kind: str, seed: int = 3, sizes: Sizes = TINY, fill: Fill = plain, epsilon: float = 1e-6,
    **generation: Any,
) -> FloatModel:  # fmt: skip
    """Return a model whose texts do not end at once.  The matrices are not tied.

    `generation`: fields of `Generation`.
    """
    if kind in LLAMAS:
        told = {"start": 2, "eos": 0, "unk": 1, "max_positions": sizes.positions}
        generation = told | generation
    model = random_float_model.random_model(
        shape_of(kind, sizes), norm=norm_of(kind, epsilon), optional=biased(kind), **generation
    )
    random = np.random.default_rng(seed)
    for name in model.tensors:
        content = fill(random, name, model.tensors.shape(name))
        model.tensors[name] = np.asarray(content, np.float32)
    if "output.bias" in model.tensors:
        bias = model.tensors["output.bias"]
        bias[model.generation.eos] = NEVER
    return model


def shape_of(kind: str, sizes: Sizes = TINY) -> encoder_decoder.Shape | decoder_only.Shape:
    """Return the shape of a model of a kind."""
    if kind in LLAMAS:
        told = {"key_heads": sizes.heads, "activation": "swish"} | LLAMAS[kind]
        heads = Heads(
            sizes.heads, sizes.width // sizes.heads, told.pop("key_heads"),
            told.pop("rotary", ()), told.pop("head_norms", ""), told.pop("window", 0),
        )  # fmt: skip
        return decoder_only.Shape(sizes.width, sizes.hidden, 2, sizes.vocabulary, heads, **told)
    given: dict[str, Any] = {
        "encoder_layers": 2, "decoder_layers": 2, "activation": "relu", "d_model": sizes.width,
        "heads": sizes.heads, "d_ffn": sizes.hidden, "source_vocabulary": sizes.vocabulary,
        "target_vocabulary": sizes.vocabulary, "embedding_scale": sizes.width**0.5,
    }  # fmt: skip
    given |= TRANSFORMERS[kind]
    if "max_positions" in given:
        given["max_positions"] = sizes.positions
    return encoder_decoder.Shape(**given)


def norm_of(kind: str, epsilon: float = 1e-6) -> Normed:
    """Return the norms of a kind."""
    if kind in LLAMAS:
        return Normed("rms", epsilon, bias=biased(kind))
    return Normed(NORMS.get(kind, "l2"), epsilon)


def biased(kind: str) -> bool:
    """Return whether products and norms have a bias."""
    return kind in TRANSFORMERS or "biases" in kind


def sentences(model: FloatModel, count: int, seed: int, longest: int = 8) -> list[list[int]]:
    """Random sources in their frame; for a decoder alone, random texts in it."""
    random = np.random.default_rng(seed)
    generation = model.generation
    size, around = generation.target_vocabulary, generation.frame.around
    lengths = random.integers(1, longest + 1, count)
    return [around(random.integers(2, size, length).tolist()) for length in lengths]


def logits(program: FloatProgram) -> list[str]:
    """The values that calibration does not compute: the logits, before and behind a soft cap."""
    last = program.producers()[program.logits]
    return [last.out, last.x] if isinstance(last, SoftCap) else [last.out]
