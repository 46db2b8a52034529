"""Writes GGUF files without the library gguf, and tiny models as llama.cpp's converters do."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tiny_decoders
import tiny_gpt2
import tiny_more_decoders
from numpy.typing import NDArray

Array = NDArray[Any]
Config = dict[str, Any]
ALIGNMENT = 32
NUMBERS = {"u": (4, "<I"), "f": (6, "<f"), "b": (7, "<?"), "i": (5, "<i")}


def text(value: str) -> bytes:
    content = value.encode()
    return struct.pack("<Q", len(content)) + content


def value(told: Any) -> bytes:
    """Return the type and the bytes of a value of metadata."""
    if isinstance(told, str):
        return struct.pack("<I", 8) + text(told)
    if isinstance(told, list):
        parts = [value(one) for one in told]
        kind = parts[0][:4] if parts else struct.pack("<I", 4)
        return struct.pack("<I", 9) + kind + struct.pack("<Q", len(told)) + b"".join(
            part[4:] for part in parts
        )  # fmt: skip
    kind = "b" if isinstance(told, bool) else "f" if isinstance(told, float) else "u"
    code, layout = NUMBERS[kind]
    return struct.pack("<I", code) + struct.pack(layout, told)


def f16(x: Array) -> bytes:
    return x.astype(np.float16).tobytes()


def bf16(x: Array) -> bytes:
    return (np.ascontiguousarray(x, np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()


def q8_0(x: Array) -> bytes:
    """Blocks of 32 numbers: the largest is 127 times the scale."""
    blocks = x.reshape(-1, 32).astype(np.float32)
    scales = np.abs(blocks).max(axis=1) / np.float32(127)
    safe = np.where(scales > 0, scales, 1)[:, None]
    integers = np.rint(blocks / safe).astype(np.int8)
    rows = zip(scales.astype("<f2"), integers, strict=True)
    return b"".join(scale.tobytes() + row.tobytes() for scale, row in rows)


TYPES: dict[str, tuple[int, Callable[[Array], bytes]]] = {
    "F32": (0, lambda x: x.astype("<f4").tobytes()),
    "F16": (1, f16),
    "Q8_0": (8, q8_0),
    "BF16": (30, bf16),
    "F64": (28, lambda x: x.astype("<f8").tobytes()),
}


def pack(
    metadata: Mapping[str, Any], tensors: Mapping[str, Array], kind: str = "F32", version: int = 3
) -> bytes:
    """Return a file; `kind` is the type of its matrices, and vectors are F32."""
    entries = []
    for name, x in tensors.items():
        code, packed = TYPES[kind if x.ndim == 2 else "F32"]
        entries.append((name, x.shape, code, packed(x)))
    return joined(metadata, entries, version)


def joined(
    metadata: Mapping[str, Any],
    entries: Sequence[tuple[str, tuple[int, ...], int, bytes]],
    version: int = 3,
) -> bytes:
    """Return a file of tensors with their names, shapes, types and bytes."""
    out = [b"GGUF", struct.pack("<IQQ", version, len(entries), len(metadata))]
    out += [text(key) + value(told) for key, told in metadata.items()]
    data = b""
    for name, shape, code, content in entries:
        data += bytes(-len(data) % ALIGNMENT)
        dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape[::-1])
        out.append(text(name) + dimensions + struct.pack("<IQ", code, len(data)))
        data += content
    head = b"".join(out)
    return head + bytes(-len(head) % ALIGNMENT) + data


PARTS = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.dense": "attn_output",
    "self_attn.qkv_proj": "attn_qkv", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
    "attention.query_key_value": "attn_qkv", "attention.dense": "attn_output",
    "self_attention.query_key_value": "attn_qkv", "self_attention.dense": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "mlp.gate_up_proj": "ffn_up", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down",
    "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
    "mlp.dense_h_to_4h": "ffn_up", "mlp.dense_4h_to_h": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
    "ln_1": "attn_norm", "ln_2": "ffn_norm", "ln_attn": "attn_norm_2", "ln_mlp": "attn_norm",
}  # fmt: skip
OUTSIDE = {
    "embed_tokens": "token_embd", "wte": "token_embd", "wpe": "position_embd",
    "embed_in": "token_embd", "word_embeddings": "token_embd", "lm_head": "output",
    "embed_out": "output", "norm": "output_norm", "ln_f": "output_norm",
    "final_layer_norm": "output_norm", "final_layernorm": "output_norm",
    "word_embeddings_layernorm": "token_embd_norm",
}  # fmt: skip
PAIRED = "llama", "mistral", "granite", "smollm3", "olmo", "arcee"
WITHOUT_ROTARY = "gpt2", "bloom", "gpt_bigcode"
BEHIND = "gemma2", "gemma3_text", "olmo2"
GEMMA = "gemma", "gemma2", "gemma3_text"
NAMES = {"gemma3_text": "gemma3", "mistral": "llama", "gpt_neox": "gptneox", "phi": "phi2",
         "cohere": "command-r", "gpt_bigcode": "starcoder"}  # fmt: skip


def converted(c: Config, content: Mapping[str, Array]) -> dict[str, Array]:
    """Return the tensors as llama.cpp names and changes them."""
    found = {}
    for name, x in content.items():
        body, _, leaf = name.rpartition(".")
        words = body.split(".")
        numbers = [at for at, word in enumerate(words) if word.isdigit()]
        if not numbers:
            found[f"{OUTSIDE[words[-1]]}.{leaf}"] = x
            if is_less(c, f"{OUTSIDE[words[-1]]}.{leaf}"):
                found[f"{OUTSIDE[words[-1]]}.{leaf}"] = x + np.float32(1)
            continue
        part = PARTS[".".join(words[numbers[0] + 1 :])]
        if part == "ffn_norm" and words[-1].startswith("post") and c["model_type"] in BEHIND:
            part = "post_attention_norm"
        there = f"{part}.{leaf}"
        kept = x + np.float32(1) if is_less(c, there) else changed(c, part, x)
        found[f"blk.{words[numbers[0]]}.{there}"] = kept
    return found


def is_less(c: Config, name: str) -> bool:
    """Return whether transformers stores the gain of a norm less one."""
    return c["model_type"] in (*GEMMA, "nemotron") and name.endswith("norm.weight")


def changed(c: Config, part: str, x: Array) -> Array:
    kind, heads = c["model_type"], c.get("num_attention_heads", c.get("n_head"))
    keys = c.get("num_key_value_heads", heads)
    if kind in PAIRED and part in ("attn_q", "attn_k"):
        count = heads if part == "attn_q" else keys
        halves = x.reshape(count, 2, len(x) // count // 2, *x.shape[1:])
        return halves.swapaxes(1, 2).reshape(x.shape)
    if kind == "gpt2" and x.ndim == 2:
        return np.ascontiguousarray(x.T)
    if kind in ("gpt_neox", "bloom") and part == "attn_qkv":
        return np.concatenate(list(x.reshape(heads, 3, -1, *x.shape[1:]).swapaxes(0, 1))).reshape(
            x.shape
        )
    if kind == "falcon" and part == "attn_qkv":
        keys = c.get("num_kv_heads") or (1 if c["multi_query"] else heads)
        size = len(x) // (heads + 2 * keys)
        groups = x.reshape(keys, heads // keys + 2, size, *x.shape[1:])
        blocks = groups[:, :-2], groups[:, -2], groups[:, -1]
        return np.concatenate([block.reshape(-1, *x.shape[1:]) for block in blocks])
    return x


NORM_EPSILONS = "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"


def metadata(c: Config) -> dict[str, Any]:
    """Return the keys that llama.cpp's converters write for a configuration."""
    kind = NAMES.get(c["model_type"], c["model_type"])
    width, heads = (
        c.get("hidden_size", c.get("n_embd")),
        c.get("num_attention_heads", c.get("n_head")),
    )
    keys = c.get("num_key_value_heads") or c.get("num_kv_heads")
    if kind in ("falcon", "starcoder") and not keys:
        keys = 1
    told: dict[str, Any] = {
        "context_length": next(
            c[n] for n in ("max_position_embeddings", "n_positions", "seq_length") if n in c
        ),
        "embedding_length": width,
        "block_count": c.get("num_hidden_layers", c.get("n_layer")),
        "feed_forward_length": c.get("intermediate_size") or c.get("n_inner") or 4 * width,
        "attention.head_count": heads,
        "attention.head_count_kv": keys,
        "attention.layer_norm_rms_epsilon": c.get("rms_norm_eps"),
        "attention.layer_norm_epsilon": next((c[n] for n in NORM_EPSILONS if n in c), None),
        "attention.key_length": c.get("head_dim"),
        "attention.value_length": c.get("head_dim"),
        "attention.scale": c.get("attention_multiplier"),
        "embedding_scale": c.get("embedding_multiplier"),
        "residual_scale": c.get("residual_multiplier"),
        "logit_scale": c.get("logits_scaling") or c.get("logit_scale"),
        "use_parallel_residual": c.get("use_parallel_residual"),
        "attention.sliding_window": c.get("sliding_window"),
        "attention.sliding_window_pattern": c.get("sliding_window_pattern"),
        "attn_logit_softcapping": c.get("attn_logit_softcapping"),
        "final_logit_softcapping": c.get("final_logit_softcapping"),
        "rope.freq_base_swa": c.get("rope_local_base_freq"),
        **rope(c, c.get("head_dim") or width // heads),
    }
    if c["model_type"] == "olmo":
        told["attention.layer_norm_epsilon"] = 1e-5
    found = {f"{kind}.{key}": one for key, one in told.items() if one is not None}
    marks = {"bos": c.get("bos_token_id"), "eos": c["eos_token_id"]}
    ids = {f"tokenizer.ggml.{n}_token_id": i for n, i in marks.items() if i is not None}
    return {"general.architecture": kind, **found, **ids}


def rope(c: Config, size: int) -> dict[str, Any]:
    if c["model_type"] in WITHOUT_ROTARY:
        return {}
    told = c.get("rope_scaling") or c.get("rope_parameters") or {}
    base = told.get("rope_theta") or c.get("rope_theta") or c.get("rotary_emb_base") or 10000.0
    share = told.get("partial_rotary_factor") or c.get("partial_rotary_factor") or c.get(
        "rotary_pct", 1.0
    )  # fmt: skip
    found: dict[str, Any] = {
        "rope.dimension_count": int(size * share), "rope.freq_base": float(base),
    }  # fmt: skip
    method = told.get("rope_type") or told.get("type")
    if method in ("linear", "yarn"):
        found["rope.scaling.type"] = method
        found["rope.scaling.factor"] = told["factor"]
    original = told.get(
        "original_max_position_embeddings", c.get("original_max_position_embeddings")
    )
    if method in ("yarn", "longrope"):
        found["rope.scaling.original_context_length"] = original
    return found


def extra(c: Config) -> dict[str, Array]:
    """Return the factors of frequencies that are tensors."""
    told = c.get("rope_scaling") or c.get("rope_parameters") or {}
    method = told.get("rope_type") or told.get("type")
    if method == "longrope":
        return {f"rope_factors_{one}.weight": np.array(told[f"{one}_factor"], np.float32)
                for one in ("short", "long")}  # fmt: skip
    if method != "llama3":
        return {}
    size, factors = tiny_decoders.SIZE, []
    for pair in range(size // 2):
        wave = 2 * np.pi * told["rope_theta"] ** (2 * pair / size)
        turns = told["original_max_position_embeddings"] / wave
        low, high, factor = (told[n] for n in ("low_freq_factor", "high_freq_factor", "factor"))
        smooth = min(max((turns - low) / (high - low), 0), 1)
        factors.append(1 / ((1 - smooth) / factor + smooth))
    return {"rope_freqs.weight": np.array(factors, np.float32)}


def packed(c: Config, content: Mapping[str, Array], **more: Any) -> bytes:
    """Return the file of a configuration and its tensors in the names of transformers."""
    tied = {"output.weight"} if c["tie_word_embeddings"] else set()
    tensors = {n: x for n, x in converted(c, content).items() if n not in tied}
    return pack(metadata(c) | more.pop("keys", {}), tensors | extra(c), **more)


GPT2: Config = tiny_gpt2.CONFIG
MORE = "gpt_bigcode", "cohere", "cohere, norms of heads", "cohere2", "nemotron", "arcee"
CASES: dict[str, Config] = {
    name: tiny_decoders.CASES[name] for name in (
        "llama, linear", "llama, llama3", "llama, yarn", "mistral, own size of heads", "gemma",
        "granite", "olmo", "stablelm", "stablelm, parallel", "phi3", "phi3, longrope", "phi",
        "starcoder2", "gpt_neox", "falcon", "falcon, two norms", "qwen3", "olmo2",
    )
} | {
    "gemma2": tiny_decoders.CASES["gemma2"] | {"query_pre_attn_scalar": 8.0},
    "gemma3": tiny_decoders.CASES["gemma3"] | {"query_pre_attn_scalar": 8.0},
    "smollm3": tiny_decoders.CASES["smollm3"] | {"no_rope_layers": None},
    "qwen2": tiny_decoders.LLAMA | {"model_type": "qwen2", "use_qkv_bias": True},
    "gpt2": GPT2,
    "bloom": tiny_decoders.CASES["bloom"],
    **{case: tiny_more_decoders.CASES[case] | {"layer_types": None} for case in MORE},
}  # fmt: skip


def tensors(case: str) -> dict[str, Any]:
    if case == "gpt2":
        return tiny_gpt2.tensors(GPT2)
    if case in MORE:
        return tiny_more_decoders.tensors(CASES[case])
    return tiny_decoders.tensors(CASES[case])


def write(folder: Path, case: str, **more: Any) -> Path:
    """Write the file of a case."""
    path = folder / "model.gguf"
    path.write_bytes(packed(CASES[case], tensors(case), **more))
    return path
