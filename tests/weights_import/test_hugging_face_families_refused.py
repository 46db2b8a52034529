"""The readers of decoder families: what they refuse, and what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_decoders as tiny
from safetensors.numpy import load_file, save_file

from weights_import import sources
from weights_import.errors import CheckpointError
from weights_import.sources.widened_words import MOST, widened
from weights_import.tensors import Stored

UNREAD = ("gemma3", "mixtral", "qwen2_moe")


@pytest.mark.parametrize("kind", UNREAD)
def test_kinds_that_need_other_operations(kind: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "gemma", model_type=kind)
    with pytest.raises(
        CheckpointError, match=f"a model of kind '{kind}', which is not read, because"
    ):
        sources.read(path)


YARN = {"type": "yarn", "factor": 4.0}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("bloom", {"apply_residual_connection_post_layernorm": True}, "apply_residual_connection_pos"),
    ("bloom", {"n_head": 5}, "d_model=24 is not divisible by heads=5"),
    ("mpt", {"attn_config": {"alibi": False}}, "attn_config.alibi: "),
    ("mpt", {"attn_config": {"alibi_bias_max": 4}}, "attn_config.alibi_bias_max: "),
    ("mpt", {"attn_config": {"clip_qkv": 6}}, "attn_config.clip_qkv: "),
    ("mpt", {"attn_config": {"prefix_lm": True}}, "attn_config.prefix_lm: "),
    ("mpt", {"attn_config": {"qk_ln": True}}, "attn_config.qk_ln: "),
    ("mpt", {"logit_scale": 0.5}, "logit_scale: "),
    ("mpt", {"no_bias": False}, "no_bias: "),
    ("falcon, two norms", {"num_kv_heads": 3}, "the shape [48, 24] has not 54 rows"),
    ("falcon", {"hidden_size": 25}, "expected [13, 25]"),
    ("gemma", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
    ("gemma", {"head_dim": 1 << 20}, "head_dim"),
    ("gemma", {"hidden_act": "quick_gelu"}, "hidden_act"),
    ("gemma", {"partial_rotary_factor": 0.5}, "partial_rotary_factor=0.5 (supported: 1)"),
    ("gpt_neo", {"attention_types": [[["sparse"], 2]]}, "attention_types"),
    ("gptj", {"rotary_dim": 8}, "rotary has 4 pairs of columns in heads of 6"),
    ("gptj", {"tie_word_embeddings": True}, "differ, but the configuration says"),
    ("gpt_neox", {"attention_bias": False}, "4 biases for 4 matrices of attention, where the con"),
    ("granite", {"logits_scaling": 0}, "logits_scaling"),
    ("llama, linear", {"rope_scaling": {"type": "linear"}}, "rope scaling 'linear' without its f"),
    ("llama, linear", {"rope_scaling": {"type": "su"}}, "short_factor lists 0 numbers for 3 pairs"),
    ("llama, linear", {"rope_scaling": {"type": "mrope"}}, "rope_scaling.type: "),
    ("llama, linear", {"rope_scaling": {"type": "linear", "factor": 0}}, "rope_scaling.factor"),
    ("olmo", {"clip_qkv": 8.0}, "clip_qkv"),
    ("opt", {"do_layer_norm_before": False}, "unused model.decoder.final_layer_norm.weight"),
    ("opt", {"_remove_final_layer_norm": True}, "_remove_final_layer_norm"),
    ("opt", {"word_embed_proj_dim": 12}, "target_embedding [13, 24], expected [13, 12]"),
    ("opt, narrow words", {"hidden_size": 28}, "wrong shape target_embedding [13, 24], expected"),
    ("opt, narrow words", {"num_attention_heads": 5}, "not divisible by heads=5"),
    ("phi3", {"rope_scaling": YARN}, "rope scaling 'yarn' of Phi-3 (supported: longrope)"),
    ("phi3", {"num_attention_heads": 6}, "self_attn.qkv_proj.weight: the shape [48, 24] has not"),
    ("smollm3", {"no_rope_layers": [1]}, "no_rope_layers lists 1 of 2 layers"),
    ("stablelm", {"qk_layernorm": True}, "missing decoder.0.self.query_norm.gain [24]"),
    ("stablelm, norms of heads", {"qk_layernorm": False}, "unused model.layers.0.self_attn.q_lay"),
    ("stablelm", {"use_qkv_bias": True}, "0 biases for 2 matrices of self_attn.q_proj"),
]


@pytest.mark.parametrize(("case", "changes", "message"), REFUSED)
def test_what_is_refused(case: str, changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, case, **changes)
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("case", "name", "shape", "message"),
    [
        ("gptj", "lm_head.bias", None, "missing lm_head.bias"),
        (
            "gptj",
            "transformer.h.1.attn.k_proj.weight",
            (24,),
            "wrong shape decoder.1.self.key.weight [24]",
        ),
        ("gpt_neox", "gpt_neox.layers.0.attention.query_key_value.weight", (24, 24), "not 72 rows"),
        ("gpt_neox", "gpt_neox.layers.0.attention.query_key_value.weight", (0, 9), "not 72 rows"),
        ("falcon", "transformer.h.0.self_attention.query_key_value.weight", (), "not 36 rows"),
        ("opt", "model.decoder.embed_positions.weight", (2, 24), "[2, 24] has no row 2"),
        ("opt", "model.decoder.embed_positions.weight", (9, 24), "wrong shape positions [7, 24]"),
        ("phi3", "model.layers.1.mlp.gate_up_proj.weight", (40, 0), "wrong shape decoder.1.ffn"),
        ("gemma", "model.norm.bias", (24,), "unused model.norm.bias"),
        ("olmo", "model.norm.weight", (24,), "unused model.norm.weight"),
    ],
)
def test_tensors_of_other_shapes(
    case: str, name: str, shape: tuple[int, ...] | None, message: str, tmp_path: Path
) -> None:
    path = tiny.write(tmp_path, case)
    content = load_file(path)
    content.pop(name, None)
    save_file(content if shape is None else content | {name: np.ones(shape, np.float32)}, path)
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("project_in", (24, 1), "wrong shape model.decoder.project_in.weight [24, 1] for words"),
        ("project_in", None, "missing project_in.weight or project_out.weight"),
        ("project_out", (10,), "project_out.weight"),
    ],
)
def test_matrices_that_widen_no_words(
    name: str, shape: tuple[int, ...] | None, message: str, tmp_path: Path
) -> None:
    content = tiny.tensors(tiny.CASES["opt, narrow words"])
    del content[f"model.decoder.{name}.weight"]
    if shape is not None:
        content[f"model.decoder.{name}.weight"] = np.ones(shape, np.float32)
    path = tiny.write(tmp_path, "opt, narrow words", content)
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    assert message in str(caught.value)


def test_words_become_at_most_some_times_wider() -> None:
    words, matrix = (Stored.of(np.ones((rows, 1), np.float32)) for rows in (3, MOST + 1))
    with pytest.raises(CheckpointError, match="17 rows are more than 16 times its 1 columns"):
        widened(words, matrix)
