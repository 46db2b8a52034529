"""The configuration of a GGUF model, as the family of Hugging Face's transformers tells it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import numpy as np

from weights_import.errors import CheckpointError
from weights_import.sources.gguf_architectures import Architecture
from weights_import.sources.gguf_file import Contents

MAXIMUM_FREQUENCIES = 1 << 12
KEYS = {
    "attn_logit_softcapping": "attn_logit_softcapping",
    "attention_multiplier": "attention.scale",
    "embedding_multiplier": "embedding_scale",
    "final_logit_softcapping": "final_logit_softcapping",
    "head_dim": "attention.key_length",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "layer_norm_eps": "attention.layer_norm_epsilon",
    "layer_norm_epsilon": "attention.layer_norm_epsilon",
    "logit_scale": "logit_scale",
    "logits_scaling": "logit_scale",
    "max_position_embeddings": "context_length",
    "norm_eps": "attention.layer_norm_epsilon",
    "norm_epsilon": "attention.layer_norm_epsilon",
    "num_attention_heads": "attention.head_count",
    "num_hidden_layers": "block_count",
    "num_key_value_heads": "attention.head_count_kv",
    "residual_multiplier": "residual_scale",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "rope_local_base_freq": "rope.freq_base_swa",
    "rope_theta": "rope.freq_base",
    "sliding_window": "attention.sliding_window",
    "sliding_window_pattern": "attention.sliding_window_pattern",
    "use_parallel_residual": "use_parallel_residual",
}
"""Where the fields of a configuration stand, without the name of the architecture."""
MARKS = {"bos_token_id": ("bos",), "eos_token_id": ("eos", "eot")}
FREQUENCIES, SHORT, LONG = (
    "rope_freqs.weight",
    "rope_factors_short.weight",
    "rope_factors_long.weight",
)
OUTPUT, EMBEDDING = "output.weight", "token_embd.weight"
REFUSED = (
    "expert_count", "attention.clamp_kqv", "attention.max_alibi_bias", "attn_logit_softcapping",
    "final_logit_softcapping", "attention.q_lora_rank", "attention.kv_lora_rank", "ssm.inner_size",
)  # fmt: skip
"""Keys of parts of a model, each of which is refused unless it is zero or the family reads it."""
LARGEST = ("gemma2", 46), ("gemma3_text", 62)
"""Models whose queries are scaled by their width for each head, by their numbers of layers.  In
other models of Gemma the size of a head scales the queries."""


class Keys:
    """The keys of one architecture in the metadata of a file."""

    def __init__(self, metadata: Mapping[str, Any], architecture: str) -> None:
        self._metadata, self._architecture = metadata, architecture

    def find(self, key: str) -> Any:
        """The value of a key; None without it; raises CheckpointError where layers differ."""
        value = self._metadata.get(f"{self._architecture}.{key}")
        if not isinstance(value, np.ndarray):
            return value
        if value.size and (value == value[0]).all():
            return value[0].item()
        raise CheckpointError(f"{self._architecture}.{key}: it differs from layer to layer, which"
                              " is not read")  # fmt: skip

    def number(self, key: str) -> Any:
        """The number of a key; raises CheckpointError for what is none."""
        value = self.find(key)
        if value is not None and not isinstance(value, int | float):
            raise CheckpointError(f"{self._architecture}.{key} is no number")
        return value


def configuration(content: Contents, name: str, one: Architecture) -> dict[str, Any]:
    """The configuration of a file of an architecture; raises CheckpointError."""
    keys = Keys(content.metadata, name)
    refuse(keys, {field.name for field in msgspec.structs.fields(one.family.config)})
    found: dict[str, Any] = {"model_type": one.kind, **one.fixed, **_marks(content.metadata)}
    for field, key in KEYS.items():
        if (value := keys.number(key)) is not None:
            found[field] = value
    if found.get("head_dim") != keys.number("attention.value_length"):
        raise CheckpointError("attention.key_length and attention.value_length differ")
    for field, tensor in one.flags.items():
        found[field] = f"blk.0.{tensor}" in content.tensors
    if EMBEDDING not in content.tensors:
        raise CheckpointError(f"no {EMBEDDING}")
    found["vocab_size"] = content.tensors[EMBEDDING].shape[0]
    found["tie_word_embeddings"] = OUTPUT not in content.tensors
    found["query_pre_attn_scalar"] = _scalar(one.kind, found)
    found |= _rotary(content, keys, found)
    return _named(found, one)


def refuse(keys: Keys, known: Collection[str]) -> None:
    """Raises CheckpointError for keys of parts that are not read, or `known` to the family."""
    for key in REFUSED:
        if keys.find(key) and key not in known:
            experts = ", a mixture of experts" if key == "expert_count" else ""
            raise CheckpointError(f"{key} is {keys.find(key)!s:.40}{experts}, which is not read")


def _named(found: Mapping[str, Any], one: Architecture) -> dict[str, Any]:
    """The fields that the family knows, by the names that its configurations have."""
    fields = {field.name: field.encode_name for field in msgspec.structs.fields(one.family.config)}
    told = ((name, value) for name, value in found.items() if name in fields)
    return {fields[name]: value for name, value in told if value is not None}


def _marks(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The tokens that begin and end a text."""
    found: dict[str, Any] = {}
    for field, names in MARKS.items():
        told = [metadata.get(f"tokenizer.ggml.{name}_token_id") for name in names]
        ids = list(dict.fromkeys(number for number in told if number is not None))
        if ids:
            found[field] = ids if len(ids) > 1 else ids[0]
    return found


def _scalar(kind: str, found: Mapping[str, Any]) -> float | None:
    """The number by whose root Gemma divides the scores, which no key tells."""
    width, heads = found.get("hidden_size"), found.get("num_attention_heads")
    if (kind, found.get("num_hidden_layers")) in LARGEST and width and heads:
        return float(width / heads)
    return found.get("head_dim")


def _rotary(content: Contents, keys: Keys, found: Mapping[str, Any]) -> dict[str, Any]:
    """How positions turn queries and keys: their share of a head, and the scaling."""
    size = found.get("head_dim") or found.get("hidden_size", 0) // (
        found.get("num_attention_heads") or 1
    )
    columns = keys.number("rope.dimension_count")
    share = 1.0
    if columns and size and columns != size:
        share = (columns + 0.5) / size  # because the product is rounded down
    told = {name: value for name, value in _scaling(content, keys).items() if value is not None}
    return {"partial_rotary_factor": share, "rope_scaling": told or None}


def _scaling(content: Contents, keys: Keys) -> dict[str, Any]:
    """The scaling of positions; raises CheckpointError for one that is not known."""
    factor, attention = keys.number("rope.scaling.factor"), keys.number("rope.scaling.attn_factor")
    original = keys.number("rope.scaling.original_context_length")
    if FREQUENCIES in content.tensors:
        factors = _factors(content, FREQUENCIES)
        return {"rope_type": "longrope", "short_factor": factors, "attention_factor": 1.0}
    if SHORT in content.tensors:
        return {
            "rope_type": "longrope", "short_factor": _factors(content, SHORT), "factor": factor,
            "original_max_position_embeddings": original, "attention_factor": attention,
        }  # fmt: skip
    method = keys.find("rope.scaling.type") or "none"
    if method == "none":
        factor = keys.number("rope.scale_linear")
        method = "linear" if factor and factor != 1 else "none"
    if method == "none":
        return {}
    if method not in ("linear", "yarn") or attention not in (None, 1):
        raise CheckpointError(f"rope.scaling.type is {method!r:.40}, which is not read so")
    found = {"rope_type": method, "factor": factor}
    if method == "yarn":
        found["original_max_position_embeddings"] = original
        for speed in ("beta_fast", "beta_slow"):
            found[speed] = keys.number(f"rope.scaling.yarn_{speed}")
    return found


def _factors(content: Contents, name: str) -> list[float]:
    """What the frequencies of positions are divided by."""
    tensor = content.tensors[name]
    if len(tensor.shape) != 1 or not 1 <= tensor.shape[0] <= MAXIMUM_FREQUENCIES:
        raise CheckpointError(f"{name}: {list(tensor.shape)} is no list of factors")
    found: list[float] = tensor.read().tolist()
    return found
