"""Tiny T5 models that CTranslate2 itself writes, as its converter of transformers does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tiny_t5 as tiny
from ctranslate2.specs import common_spec, transformer_spec
from real_ctranslate2 import optimised

from weights_import.tensors import Float32

PIECES = ["<pad>", "</s>", "<unk>", *"abcdefghijklmnop", "<extra_id_0>", "<extra_id_0>"]
"""The last embedding has no token.  The converter gives it the name of a token."""
assert len(PIECES) == tiny.VOCABULARY


def write(folder: Path, case: str, quantisation: str = "float32") -> Path:
    """Write the model of a case into a folder with CTranslate2's own writer."""
    c = tiny.CASES[case]
    stored, gated = tiny.tensors(c), tiny.gated(c)
    function = common_spec.Activation.GELUTanh if gated else common_spec.Activation.RELU
    made = transformer_spec.TransformerSpec.from_config(
        (tiny.LAYERS, tiny.DECODER_LAYERS), tiny.HEADS, pre_norm=True, activation=function,
        ffn_glu=gated, relative_attention_bias=True, rms_norm=True,
    )  # fmt: skip
    for stack in ("encoder", "decoder"):
        _stack(getattr(made, stack), stack, stored, c)
    made.encoder.embeddings[0].weight = stored["shared.weight"]
    made.decoder.embeddings.weight = stored["shared.weight"]
    made.decoder.projection.weight = stored.get("lm_head.weight", stored["shared.weight"])
    if not tiny.own_head(c):
        made.decoder.scale_outputs = tiny.WIDTH**-0.5
    for key, value in (("bos_token", "<pad>"), ("decoder_start_token", "<pad>")):
        setattr(made.config, key, value)
    made.register_source_vocabulary(PIECES)
    made.register_target_vocabulary(PIECES)
    made.validate()
    optimised(made, quantisation)
    folder.mkdir(exist_ok=True)
    made.save(str(folder))
    return folder


def _stack(spec: Any, stack: str, stored: dict[str, Float32], c: tiny.Config) -> None:
    spec.scale_embeddings = False
    spec.layer_norm.gamma = stored[f"{stack}.final_layer_norm.weight"]
    for i, layer in enumerate(spec.layer):
        at = f"{stack}.block.{i}.layer"
        first = i if c["model_type"] == "umt5" else 0
        table = f"{stack}.block.{first}.layer.0.SelfAttention.relative_attention_bias.weight"
        layer.self_attention.relative_attention_bias = stored[table]
        farthest = np.dtype("int32").type(tiny.FARTHEST)
        layer.self_attention.relative_attention_max_distance = farthest
        _attention(layer.self_attention, f"{at}.0", "SelfAttention", ("qkv", "o"), stored)
        last = f"{at}.{1 if stack == 'encoder' else 2}"
        if stack == "decoder":
            _attention(layer.attention, f"{at}.1", "EncDecAttention", ("q", "kv", "o"), stored)
        ffn = f"{last}.DenseReluDense"
        layer.ffn.layer_norm.gamma = stored[f"{last}.layer_norm.weight"]
        layer.ffn.linear_0.weight = stored[
            f"{ffn}.wi_0.weight" if tiny.gated(c) else f"{ffn}.wi.weight"
        ]
        if tiny.gated(c):
            layer.ffn.linear_0_noact.weight = stored[f"{ffn}.wi_1.weight"]
        layer.ffn.linear_1.weight = stored[f"{ffn}.wo.weight"]


def _attention(
    spec: Any, at: str, name: str, parts: tuple[str, ...], stored: dict[str, Float32]
) -> None:
    spec.queries_scale = 1.0
    spec.layer_norm.gamma = stored[f"{at}.layer_norm.weight"]
    for linear, names in zip(spec.linear, parts, strict=True):
        linear.weight = np.concatenate([stored[f"{at}.{name}.{part}.weight"] for part in names])
