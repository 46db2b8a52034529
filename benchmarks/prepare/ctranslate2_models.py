"""`python -m benchmarks.prepare.ctranslate2_models SHAPE FOLDER`: converts to CTranslate2.

Reads weights.npz, and writes CTranslate2's format in float32 and in int8, through the specification
of CTranslate2's converters.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from ctranslate2.specs import TransformerSpec

from benchmarks.shapes import SHAPES, Shape

QUANTIZATION = {"float32": None, "int8": "int8"}


def specification(shape: Shape, weights: Any) -> TransformerSpec:
    """Return the specification with all weights.  The name of token i is "ti"."""
    spec = TransformerSpec.from_config(
        (shape.encoder_layers, shape.decoder_layers), shape.heads, pre_norm=False
    )
    for stack, embeddings in ((spec.encoder, spec.encoder.embeddings[0]), (spec.decoder, None)):
        side = "source" if embeddings else "target"
        (embeddings or stack.embeddings).weight = weights[f"{side}_embedding"]
        stack.position_encodings.encodings = weights["positions"]
        for index, layer in enumerate(stack.layer):
            _fill_layer(layer, weights, f"{'encoder' if embeddings else 'decoder'}.{index}")
    spec.decoder.start_from_zero_embedding = True
    spec.decoder.projection.weight = weights["output.weight"]
    spec.decoder.projection.bias = weights["output.bias"]
    tokens = ["</s>", "<unk>", *(f"t{index}" for index in range(2, shape.vocabulary))]
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.config.eos_token = spec.config.decoder_start_token = "</s>"
    spec.config.unk_token = "<unk>"
    spec.config.add_source_eos = False
    return spec


def _fill_layer(layer: Any, weights: Any, name: str) -> None:
    fused = {"self_attention": ("self", [("query", "key", "value"), ("output",)])}
    fused["attention"] = ("cross", [("query",), ("key", "value"), ("output",)])
    for attribute, (block, groups) in fused.items():
        attention = getattr(layer, attribute, None)
        if attention is not None:
            for linear, parts in zip(attention.linear, groups, strict=True):
                _fill_linear(linear, weights, [f"{name}.{block}.{part}" for part in parts])
            _fill_norm(attention.layer_norm, weights, f"{name}.{block}.norm")
    _fill_linear(layer.ffn.linear_0, weights, [f"{name}.ffn.inner"])
    _fill_linear(layer.ffn.linear_1, weights, [f"{name}.ffn.outer"])
    _fill_norm(layer.ffn.layer_norm, weights, f"{name}.ffn.norm")


def _fill_linear(linear: Any, weights: Any, names: list[str]) -> None:
    linear.weight = np.concatenate([weights[f"{name}.weight"] for name in names])
    linear.bias = np.concatenate([weights[f"{name}.bias"] for name in names])


def _fill_norm(norm: Any, weights: Any, name: str) -> None:
    norm.gamma, norm.beta = weights[f"{name}.gain"], weights[f"{name}.bias"]


def main(shape: str, folder: Path) -> None:
    """Write ctranslate2-float32 and ctranslate2-int8."""
    with np.load(folder / "weights.npz") as weights:
        for name, quantization in QUANTIZATION.items():
            spec = specification(SHAPES[shape], weights)
            spec.validate()
            spec.optimize(quantization=quantization)
            target = folder / f"ctranslate2-{name}"
            target.mkdir(exist_ok=True)
            spec.save(str(target))


if __name__ == "__main__":
    print("ctranslate2", ctranslate2.__version__)
    main(sys.argv[1], Path(sys.argv[2]))
