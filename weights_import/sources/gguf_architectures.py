"""The architectures of GGUF files that are read, as a table: each one is a family of Hugging Face's
transformers, with other names of its tensors, and with changes that llama.cpp's converters make.

The converters are described in llama.cpp's repository (convert_hf_to_gguf.py, gguf-py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from weights_import.operations.heads import Heads
from weights_import.sources import (
    hugging_face_bloom,
    hugging_face_cohere,
    hugging_face_cohere2,
    hugging_face_falcon,
    hugging_face_gemma,
    hugging_face_gemma2,
    hugging_face_gemma3,
    hugging_face_gpt2,
    hugging_face_gpt_bigcode,
    hugging_face_gpt_neox,
    hugging_face_granite,
    hugging_face_llama,
    hugging_face_olmo,
    hugging_face_olmo2,
    hugging_face_phi,
    hugging_face_phi3,
    hugging_face_qwen2,
    hugging_face_qwen3,
    hugging_face_smollm3,
    hugging_face_squares,
    hugging_face_stablelm,
    hugging_face_starcoder2,
)
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.stored_rows import halves, one_less, regrouped, transposed
from weights_import.tensors import Stored

Change = Callable[[str, Stored, Heads], Stored]
"""How a tensor becomes what the family expects, by its part in GGUF and the heads."""

PARTS = {
    "self.norm": "attn_norm",
    "self.query": "attn_q",
    "self.key": "attn_k",
    "self.value": "attn_v",
    "self.output": "attn_output",
    "ffn.norm": "ffn_norm",
    "ffn.gate": "ffn_gate",
    "ffn.inner": "ffn_up",
    "ffn.outer": "ffn_down",
    "self.query_norm": "attn_q_norm",
    "self.key_norm": "attn_k_norm",
    "self.branch_norm": "post_attention_norm",
    "ffn.branch_norm": "post_ffw_norm",
}
"""The names in a layer by canonical names."""
JOINED = dict.fromkeys(("self.query", "self.key", "self.value"), "attn_qkv")
GATED = dict.fromkeys(("ffn.gate", "ffn.inner"), "ffn_up")


def _unchanged(part: str, tensor: Stored, heads: Heads) -> Stored:
    return tensor


def _paired(part: str, tensor: Stored, heads: Heads) -> Stored:
    """llama.cpp turns neighbours of queries and keys, transformers columns half a head apart."""
    counts = {"attn_q": heads.count, "attn_k": heads.key_heads}
    if part not in counts:
        return tensor
    return halves(tensor, counts[part], heads.size, heads.size // 2)


def _plain_gain(part: str, tensor: Stored, heads: Heads) -> Stored:
    """transformers stores the gains of these norms less one."""
    return one_less(tensor) if part.endswith("norm") else tensor


def _plain_weight(part: str, tensor: Stored, heads: Heads) -> Stored:
    """The same, where the norms have biases."""
    return tensor if tensor.name.endswith("bias") else _plain_gain(part, tensor, heads)


def _columns(part: str, tensor: Stored, heads: Heads) -> Stored:
    """transformers stores the matrices of GPT-2 transposed."""
    is_matrix = len(tensor.shape) == 2 and part not in ("token_embd", "position_embd", "output")
    return transposed(tensor) if is_matrix else tensor


def _one_vector(part: str, tensor: Stored, heads: Heads) -> Stored:
    """llama.cpp keeps the gains of the norms of heads as [heads, columns]."""
    is_table = part in ("attn_q_norm", "attn_k_norm") and len(tensor.shape) == 2
    return tensor.changed((math.prod(tensor.shape),), np.ravel) if is_table else tensor


def _by_head(part: str, tensor: Stored, heads: Heads) -> Stored:
    """transformers keeps the rows of one head of keys together, with the queries that share it."""
    if part != "attn_qkv":
        return tensor
    rows = np.arange((heads.count + 2 * heads.key_heads) * heads.size).reshape(-1, heads.size)
    queries, keys, values = np.split(rows, [heads.count, heads.count + heads.key_heads])
    queries = queries.reshape(heads.key_heads, -1)
    return regrouped(tensor, np.concatenate([queries, keys, values], axis=1).ravel())


@dataclass(frozen=True)
class Architecture:
    """One architecture.

    kind    the kind of model, as configurations of the family name it
    parts   the names in a layer, where they differ from PARTS
    change  how the tensors of the file become the tensors of the family
    fixed   fields of the configuration that no key tells
    flags   fields of the configuration that tell of biases: the tensors that have them
    """

    family: Family
    kind: str
    parts: Mapping[str, str] = field(default_factory=dict)
    change: Change = _unchanged
    fixed: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)


SILU = {"hidden_act": "silu"}
LLAMA_BIASES = {"attention_bias": "attn_output.bias", "mlp_bias": "ffn_down.bias"}
LLAMA = Architecture(
    hugging_face_llama.FAMILY, "llama", change=_paired, fixed=SILU, flags=LLAMA_BIASES
)
FALCON = Architecture(
    hugging_face_falcon.FAMILY, "falcon", JOINED, _by_head, flags={"bias": "attn_output.bias"}
)
NORM_OF_ATTENTION = "blk.0.attn_norm_2.weight"
FALCON_OF_TWO_NORMS = replace(
    FALCON,
    parts={**JOINED, "self.norm": "attn_norm_2", "ffn.norm": "attn_norm"},
    fixed={"new_decoder_architecture": True},
)
ARCHITECTURES = {
    "llama": LLAMA,
    "arcee": Architecture(
        hugging_face_squares.FAMILY, "arcee", change=_paired, flags=LLAMA_BIASES
    ),
    "bloom": Architecture(hugging_face_bloom.FAMILY, "bloom", JOINED, _by_head),
    "cohere2": Architecture(hugging_face_cohere2.FAMILY, "cohere2", fixed=SILU),
    "command-r": Architecture(
        hugging_face_cohere.FAMILY, "cohere", fixed=SILU,
        flags={"use_qk_norm": "attn_q_norm.weight"},
    ),
    "falcon": FALCON,
    "gemma": Architecture(hugging_face_gemma.FAMILY, "gemma", change=_plain_gain),
    "gemma2": Architecture(hugging_face_gemma2.FAMILY, "gemma2", change=_plain_gain),
    "gemma3": Architecture(hugging_face_gemma3.FAMILY, "gemma3_text", change=_plain_gain),
    "gpt2": Architecture(hugging_face_gpt2.FAMILY, "gpt2", JOINED, _columns),
    "gptneox": Architecture(
        hugging_face_gpt_neox.FAMILY, "gpt_neox", JOINED, _by_head,
        flags={"attention_bias": "attn_qkv.bias"},
    ),
    "granite": Architecture(
        hugging_face_granite.FAMILY, "granite", change=_paired, fixed=SILU, flags=LLAMA_BIASES
    ),
    "olmo": Architecture(hugging_face_olmo.FAMILY, "olmo", change=_paired, fixed=SILU),
    "olmo2": Architecture(hugging_face_olmo2.FAMILY, "olmo2", fixed=SILU, flags=LLAMA_BIASES),
    "nemotron": Architecture(
        hugging_face_squares.FAMILY, "nemotron", change=_plain_weight, flags=LLAMA_BIASES
    ),
    "phi2": Architecture(hugging_face_phi.FAMILY, "phi"),
    "phi3": Architecture(hugging_face_phi3.FAMILY, "phi3", JOINED | GATED, fixed=SILU),
    "qwen2": Architecture(hugging_face_qwen2.FAMILY, "qwen2", fixed=SILU),
    "qwen3": Architecture(
        hugging_face_qwen3.FAMILY, "qwen3", fixed=SILU, flags={"attention_bias": "attn_q.bias"}
    ),
    "smollm3": Architecture(
        hugging_face_smollm3.FAMILY, "smollm3", change=_paired, fixed=SILU, flags=LLAMA_BIASES
    ),
    "stablelm": Architecture(
        hugging_face_stablelm.FAMILY, "stablelm", change=_one_vector, fixed=SILU,
        flags={"use_qkv_bias": "attn_q.bias", "qk_layernorm": "attn_q_norm.weight"},
    ),
    "starcoder": Architecture(hugging_face_gpt_bigcode.FAMILY, "gpt_bigcode", JOINED),
    "starcoder2": Architecture(
        hugging_face_starcoder2.FAMILY, "starcoder2", flags={"use_bias": "attn_q.bias"}
    ),
}  # fmt: skip


def architecture(name: str, tensors: Collection[str]) -> Architecture:
    """The architecture of a name that is read, for a file with these tensors."""
    if name == "falcon" and NORM_OF_ATTENTION in tensors:
        return FALCON_OF_TWO_NORMS
    return ARCHITECTURES[name]
