"""Tiny random models in CTranslate2's format, made without CTranslate2."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

WIDTH, FFN, LAYERS, HEADS = 8, 12, 2, 2
SOURCE = ["<s>", "</s>", "<unk>", *"abcdefgh "]
TARGET = ["<unk>", "<s>", "</s>", *"ABCDEFG"]
CONFIG: dict[str, Any] = {
    "add_source_bos": False, "add_source_eos": False, "bos_token": "<s>", "eos_token": "</s>",
    "unk_token": "<unk>", "decoder_start_token": "<s>", "layer_norm_epsilon": None,
    "multi_query_attention": False,
}  # fmt: skip


def shapes() -> dict[str, tuple[int, ...]]:
    """Return every tensor of a pre-norm model except the positions."""
    found: dict[str, tuple[int, ...]] = {
        "encoder/embeddings_0/weight": (len(SOURCE), WIDTH),
        "decoder/embeddings/weight": (len(TARGET), WIDTH),
        "decoder/projection/weight": (len(TARGET), WIDTH),
        "decoder/projection/bias": (len(TARGET),),
    }
    linears = {
        "encoder": {"self_attention": (3, 1)},
        "decoder": {"self_attention": (3, 1), "attention": (1, 2, 1)},
    }
    norms = ["encoder", "decoder"]
    for stack, attentions in linears.items():
        for layer in range(LAYERS):
            at = f"{stack}/layer_{layer}"
            maps = {f"{at}/ffn/linear_0": (FFN, WIDTH), f"{at}/ffn/linear_1": (WIDTH, FFN)}
            for attention, parts in attentions.items():
                for number, count in enumerate(parts):
                    maps[f"{at}/{attention}/linear_{number}"] = (count * WIDTH, WIDTH)
            norms += [f"{at}/{block}" for block in ("ffn", *attentions)]
            for name, shape in maps.items():
                found[f"{name}/weight"], found[f"{name}/bias"] = shape, shape[:1]
    for name in norms:
        found[f"{name}/layer_norm/gamma"] = found[f"{name}/layer_norm/beta"] = (WIDTH,)
    return found


def tensors(seed: int = 0) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    return {
        name: random.normal(0, 0.7, shape).astype(np.float32)
        for name, shape in sorted(shapes().items())
    }


def numbers(**changes: Any) -> dict[str, Array]:
    """Return the numbers of a newer file with changes."""
    found: dict[str, Any] = {
        "num_heads": np.int16(HEADS), "pre_norm": np.int8(1), "activation": np.int8(0),
        "embeddings_merge": np.int8(0), "scale_embeddings": np.int8(1),
        "alignment_layer": np.int16(-1), "alignment_heads": np.int16(1), "alibi": np.int8(0),
        "alibi_use_positive_positions": np.int8(0), "scale_alibi": np.int8(0),
        "start_from_zero_embedding": np.int8(0),
    }  # fmt: skip
    both = ("num_heads", "pre_norm", "activation", "embeddings_merge", "scale_embeddings")
    found |= changes
    return {
        f"{stack}/{name}": np.asarray(value)
        for name, value in found.items()
        for stack in (("encoder", "decoder") if name in both else ("decoder",))
    }


def without_final_norms(content: Mapping[str, Array]) -> dict[str, Array]:
    """Remove the final norms, which a post-norm model lacks."""
    ends = tuple(f"{stack}/layer_norm/{part}" for stack in ("encoder", "decoder") for part in
                 ("gamma", "beta"))  # fmt: skip
    return {name: value for name, value in content.items() if name not in ends}


def quantised(content: Mapping[str, Array], kind: str) -> dict[str, Array]:
    """Convert the matrices to another type.  Integer types have scales."""
    found = {}
    for name, value in content.items():
        if value.ndim != 2 or kind in ("float16", "bfloat16"):
            found[name] = value.astype(np.float16) if kind == "float16" else value
        else:
            largest = np.abs(value).max(axis=1) if kind == "int8" else np.abs(value).max()
            scale = np.asarray((127 if kind == "int8" else 2**10) / largest, np.float32)
            found[f"{name}_scale"] = scale
            found[name] = np.rint(value * scale.reshape(-1, 1)).astype(kind)
    return found


def pack(
    content: Mapping[str, Array],
    version: int = 6,
    named: str = "TransformerSpec",
    revision: int = 7,
    aliases: Mapping[str, str] | None = None,
    bfloat16: bool = False,
) -> bytes:
    """Return the bytes of a file.  `bfloat16`: store the upper halves of the floats."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    out = [struct.pack("<I", version), text(named), struct.pack("<II", revision, len(content))]
    codes = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
    for name, value in content.items():
        data, code = value.tobytes(), codes[value.dtype.name]
        if bfloat16 and code == 0:
            data, code = (value.view(np.uint32) >> 16).astype(np.uint16).tobytes(), 5
        out += [text(name), struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)]
        if version >= 4:
            out.append(struct.pack("<BI", code, len(data)))
        else:
            out.append(struct.pack("<BI", value.itemsize, value.size))
        out.append(data)
    if version >= 3:
        out.append(struct.pack("<I", len(aliases or {})))
        out += [text(alias) + text(name) for alias, name in (aliases or {}).items()]
    return b"".join(out)


def write(
    folder: Path, content: Mapping[str, Array] | None = None, config: Any = None, **packing: Any
) -> Path:
    """Write a model with its configuration and vocabularies.  Default: a newer file in float32."""
    if content is None:
        content = {**tensors(), **numbers()}
    path = folder / "model.bin"
    path.write_bytes(pack(content, **packing))
    (folder / "config.json").write_text(json.dumps(CONFIG | (config or {})))
    for side, pieces in (("source", SOURCE), ("target", TARGET)):
        (folder / f"{side}_vocabulary.json").write_text(json.dumps(pieces))
    return path
