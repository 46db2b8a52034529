"""Tiny encoders alone that CTranslate2 itself writes, as its converter of transformers does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tiny_encoders as tiny
from ctranslate2.specs import common_spec, transformer_spec
from real_ctranslate2 import optimised

from weights_import.tensors import Float32

NAMES: dict[str, tuple[str, ...]] = {
    "bert": (
        "encoder.layer.{}.attention.self.query", "encoder.layer.{}.attention.self.key",
        "encoder.layer.{}.attention.self.value", "encoder.layer.{}.attention.output.dense",
        "encoder.layer.{}.attention.output.LayerNorm", "encoder.layer.{}.intermediate.dense",
        "encoder.layer.{}.output.dense", "encoder.layer.{}.output.LayerNorm",
    ),
    "distilbert": (
        "transformer.layer.{}.attention.q_lin", "transformer.layer.{}.attention.k_lin",
        "transformer.layer.{}.attention.v_lin", "transformer.layer.{}.attention.out_lin",
        "transformer.layer.{}.sa_layer_norm", "transformer.layer.{}.ffn.lin1",
        "transformer.layer.{}.ffn.lin2", "transformer.layer.{}.output_layer_norm",
    ),
}  # fmt: skip
NAMES["roberta"] = NAMES["bert"]
UNUSED_POSITIONS = {"roberta": 2}
EPSILONS = {"roberta": 1e-5}


def write(folder: Path, case: str, quantisation: str = "float32") -> Path:
    """Write the model of a case into a folder with CTranslate2's own writer."""
    c, typed = tiny.CASES[case], case != "distilbert"
    w = tiny.tensors(c)
    encoder = transformer_spec.TransformerEncoderSpec(
        tiny.LAYERS, tiny.HEADS, pre_norm=False, activation=common_spec.Activation.GELU,
        layernorm_embedding=True, num_source_embeddings=1 + typed,
        **({"embeddings_merge": common_spec.EmbeddingsMerge.ADD} if typed else {}),
    )  # fmt: skip
    made = transformer_spec.TransformerEncoderModelSpec(
        encoder, pooling_layer=typed, pooling_activation=common_spec.Activation.Tanh
    )
    encoder.scale_embeddings = False
    encoder.embeddings[0].weight = w["embeddings.word_embeddings.weight"]
    if typed:
        encoder.embeddings[1].weight = w["embeddings.token_type_embeddings.weight"]
        _linear(made.pooler_dense, w, "pooler.dense")
    table = w["embeddings.position_embeddings.weight"]
    encoder.position_encodings.encodings = table[UNUSED_POSITIONS.get(case, 0) :].copy()
    _norm(encoder.layernorm_embedding, w, "embeddings.LayerNorm")
    for i, layer in enumerate(encoder.layer):
        q, k, v, out, first, inner, outer, second = (name.format(i) for name in NAMES[case])
        fused = layer.self_attention.linear[0]
        fused.weight, fused.bias = (
            np.concatenate([w[f"{name}.{leaf}"] for name in (q, k, v)])
            for leaf in ("weight", "bias")
        )
        _linear(layer.self_attention.linear[1], w, out)
        _norm(layer.self_attention.layer_norm, w, first)
        _linear(layer.ffn.linear_0, w, inner)
        _linear(layer.ffn.linear_1, w, outer)
        _norm(layer.ffn.layer_norm, w, second)
    made.config.unk_token = "[UNK]"
    made.config.layer_norm_epsilon = EPSILONS.get(case, 1e-12)
    made.register_vocabulary(tiny.TOKENS)
    made.validate()
    optimised(made, quantisation)
    folder.mkdir(exist_ok=True)
    made.save(str(folder))
    return folder


def _linear(spec: Any, w: dict[str, Float32], name: str) -> None:
    spec.weight, spec.bias = w[f"{name}.weight"], w[f"{name}.bias"]


def _norm(spec: Any, w: dict[str, Float32], name: str) -> None:
    spec.gamma, spec.beta = w[f"{name}.weight"], w[f"{name}.bias"]
