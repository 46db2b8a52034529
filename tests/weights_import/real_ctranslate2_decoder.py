"""Tiny random decoders alone that CTranslate2 itself writes, and its log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2 import Generator
from ctranslate2.specs import common_spec, transformer_spec
from ctranslate2.specs.attention_spec import RotaryScalingType
from real_ctranslate2 import assign, optimised

from weights_import.tensors import Float32

TOKENS = ["<unk>", "<s>", "</s>", *"abcdefghijkl"]
WIDTH, HIDDEN, LAYERS, HEADS, POSITIONS = 24, 40, 2, 4, 32
LLAMA: dict[str, Any] = {
    "activation": common_spec.Activation.SWISH,
    "ffn_glu": True,
    "rms_norm": True,
    "rotary_dim": 0,
    "rotary_interleave": False,
}
KINDS: dict[str, dict[str, Any]] = {
    "GPT-2": {"activation": common_spec.Activation.GELUTanh},
    "OPT": {},
    "OPT, post-norm": {"pre_norm": False},
    "StarCoder": {"activation": common_spec.Activation.GELUTanh, "multi_query_attention": True},
    "fairseq": {"layernorm_embedding": True, "activation": common_spec.Activation.GELU},
    "OpenNMT": {},
    "OpenNMT, rotary": LLAMA | {"rotary_interleave": True, "sliding_window": 0},
    "Llama": LLAMA,
    "Llama, shared keys": LLAMA | {"num_heads_kv": 2, "rotary_base": 500.0},
    "Llama, longer": LLAMA
    | {"rotary_scaling_type": RotaryScalingType.Linear, "rotary_scaling_factor": 4.0},
    "Mistral": LLAMA | {"num_heads_kv": 1, "sliding_window": 16},
    "Mistral, wider heads": LLAMA | {"num_heads_kv": 2, "head_dim": 8},
    "Phi-3": LLAMA | {"original_max_position_embeddings": 20, "max_position_embeddings": 20},
    "Qwen2": LLAMA | {"num_heads_kv": 2},
    "Gemma": LLAMA | {"activation": common_spec.Activation.GELUTanh, "head_dim": WIDTH // HEADS},
    "BLOOM": {
        "activation": common_spec.Activation.GELUTanh, "alibi": True,
        "alibi_use_positive_positions": True, "layernorm_embedding": True,
    },
    "Falcon": {"activation": common_spec.Activation.GELU, "alibi": True, "scale_alibi": True},
    "GPT-J": {
        "activation": common_spec.Activation.GELUTanh, "parallel_residual": True,
        "rotary_dim": 4, "rotary_interleave": True, "shared_layer_norm": True,
    },
    "GPT-NeoX": {"parallel_residual": True, "rotary_dim": 4, "rotary_interleave": False},
    "OPT, narrow words": {"pre_norm": False, "project_in_out": True},
    "partly rotary": LLAMA | {"rotary_dim": 4, "num_heads_kv": 2},
    "partly rotary, interleaved": LLAMA | {"rotary_dim": 4, "rotary_interleave": True},
}  # fmt: skip
"""What CTranslate2's converters tell of each kind; other fields keep their defaults."""
TABLES = {"GPT-2", "OPT", "OPT, narrow words", "OPT, post-norm", "StarCoder", "fairseq"}
NARROW = 10
"""The columns of words that are narrower than the model."""
APART = "shared_layer_norm", "input_layer_norm", "post_attention_layer_norm"
"""Norms of layers whose sublayers read one sum."""
"""Kinds with a table of positions."""
UNSCALED = KINDS.keys() - {"OpenNMT", "fairseq", "Gemma"}
"""Kinds whose embeddings are not multiplied."""
NO_BIASES = {
    "Gemma", "Llama", "Llama, longer", "Llama, shared keys", "Mistral", "Mistral, wider heads",
    "OpenNMT, rotary", "Phi-3"
}  # fmt: skip


def tensors(spec: dict[str, Any]) -> dict[str, Float32]:
    """Return random tensors of every name that a kind may have."""
    random = np.random.default_rng(3)
    keys = 1 if spec.get("multi_query_attention") else spec.get("num_heads_kv", HEADS)
    size = spec.get("head_dim", WIDTH // HEADS)
    narrow = NARROW if spec.get("project_in_out") else WIDTH
    shapes = {"decoder/embeddings/weight": (len(TOKENS), narrow)}
    shapes["decoder/projection/weight"] = len(TOKENS), narrow
    norms = ["decoder/layer_norm", "decoder/layernorm_embedding"]
    for i in range(LAYERS):
        at = f"decoder/layer_{i}"
        norms += [f"{at}/self_attention/layer_norm", f"{at}/ffn/layer_norm"]
        shapes[f"{at}/self_attention/linear_0/weight"] = (HEADS + 2 * keys) * size, WIDTH
        shapes[f"{at}/self_attention/linear_1/weight"] = WIDTH, HEADS * size
        shapes |= {f"{at}/ffn/{n}/weight": (HIDDEN, WIDTH) for n in ("linear_0", "linear_0_noact")}
        shapes[f"{at}/ffn/linear_1/weight"] = WIDTH, HIDDEN
    norms += [f"decoder/layer_{i}/{name}" for i in range(LAYERS) for name in APART]
    shapes |= {f"{at}/{leaf}": (WIDTH,) for at in norms for leaf in ("gamma", "beta")}
    shapes |= {"decoder/project_in/weight": (WIDTH, narrow)}
    shapes |= {"decoder/project_out/weight": (narrow, WIDTH)}
    return {name: random.normal(0, 0.5, s).astype(np.float32) for name, s in shapes.items()}


def biased(kind: str, name: str) -> bool:
    """Return whether a matrix of a kind has a bias."""
    if kind in NO_BIASES or any(part in name for part in ("embeddings", "proj")):
        return False
    return "self_attention/linear_0" in name if kind == "Qwen2" else True


def write(
    folder: Path,
    kind: str,
    quantisation: str = "float32",
    tied: bool = False,
    config: dict[str, Any] | None = None,
    parts: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """Write a model of a kind with CTranslate2's own writer.

    `parts` are other variables by their names.
    """
    spec = KINDS[kind] | changes
    made = transformer_spec.TransformerDecoderModelSpec.from_config(LAYERS, HEADS, **spec)
    content = tensors(spec)
    if tied:
        content["decoder/projection/weight"] = content["decoder/embeddings/weight"].copy()
    for name, value in content.items():
        assign(made, name, value.copy())
        if name.endswith("/weight") and biased(kind, name):
            assign(made, f"{name[:-7]}/bias", value[:, 0].copy())
        if kind == "Gemma" and name.endswith("/gamma"):
            assign(made, f"{name[:-6]}/layer_norm_use_residual", True)
    random = np.random.default_rng(4)
    if kind in TABLES and hasattr(made.decoder, "position_encodings"):
        table = random.normal(0, 0.5, (POSITIONS, WIDTH)).astype(np.float32)
        made.decoder.position_encodings.encodings = table
    made.decoder.scale_embeddings = kind not in UNSCALED
    if kind == "Gemma":
        made.decoder.embeddings.multiply_by_sqrt_depth = WIDTH**0.5
    for name, value in (parts or {}).items():
        assign(made, name, value)
    for key, value in (config or {}).items():
        setattr(made.config, key, value)
    if spec.get("rms_norm"):
        made.config.layer_norm_epsilon = 1e-3
    made._visit(fill)
    made.register_vocabulary(TOKENS)
    made.validate()
    optimised(made, quantisation)
    folder.mkdir(exist_ok=True)
    made.save(str(folder))
    return folder


def fill(spec: Any, name: str, value: Any) -> None:
    """Set a variable that a kind has and these models do not."""
    if value is None:
        setattr(spec, name.rpartition("/")[2], np.ones(WIDTH, np.float32))


def log_probabilities(folder: Path, tokens: Sequence[str]) -> Float32:
    """Return CTranslate2's log P of every token behind each of these: [tokens, vocabulary]."""
    generator = Generator(str(folder), device="cpu", compute_type="float32", intra_threads=1)
    found = generator.forward_batch([list(tokens)], return_log_probs=True)
    return np.array(found)[0]
