"""GGUF files of llama.cpp (versions 2 and 3) with weights in floats or quantised.

The metadata tell the architecture, the configuration and the tokenizer.  The file becomes the model
of the family of Hugging Face's transformers that it was converted from.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel
from weights_import.sources.gguf_architectures import (
    ARCHITECTURES,
    PARTS,
    Architecture,
    architecture,
)
from weights_import.sources.gguf_config import FREQUENCIES, LONG, SHORT, configuration
from weights_import.sources.gguf_file import Contents, contents, is_gguf
from weights_import.sources.gguf_tokenizer import template_of, write_tokenizer
from weights_import.sources.gguf_types import TYPES
from weights_import.sources.json_file import convert
from weights_import.sources.safetensors_file import Contents as Named
from weights_import.tensors import Stored

FORMAT = f"GGUF ({', '.join(sorted(ARCHITECTURES))}; {', '.join(TYPES)})"
ARCHITECTURE, TYPE, SPLIT = "general.architecture", "general.type", "split.count"
IN_LAYER = re.compile(r"blk\.(\d{1,5})\.([a-z_0-9]+)\.(weight|bias)")
OUTSIDE = re.compile(
    r"(token_embd|token_embd_norm|position_embd|output_norm|output)\.(weight|bias)"
)
FOLLOW = re.compile(r"blk\.\d+\.attn_rot_embd\.weight")
"""Frequencies of positions, which follow from the configuration."""
WHOLE = {"adapter": "an adapter, which is a change to another model; merge it into that one",
         "mmproj": "a part of a model that takes pictures or sound, which is not read"}  # fmt: skip


def recognises(path: Path) -> bool:
    """Whether the file is one of this format."""
    return is_gguf(path)


def companions(path: Path) -> list[Path]:
    """No other file, because the format has everything in one."""
    return []


def read(path: Path) -> FloatModel:
    """Reads a file; raises CheckpointError with what is wrong."""
    with located(path):
        return _read(path, contents(path))


def _read(path: Path, content: Contents) -> FloatModel:
    name = _architecture(content)
    one = architecture(name, content.tensors)
    told = configuration(content, name, one)
    tensors = _tensors(content, one, told, path.name)
    with tempfile.TemporaryDirectory() as folder:  # the family reads a tokenizer beside a file
        warnings = write_tokenizer(content.metadata, told, Path(folder))
        whole = Named({}, tensors, content.sha256)
        model = one.family.made(Path(folder) / path.name, told, whole)
    model.provenance["format"] = f"GGUF {model.provenance['format'].removeprefix('Hugging Face ')}"
    model.warnings.extend(warnings)
    model.wanted = "the tokenizer in the file"
    model.chat = template_of(content.metadata)
    return model


def _architecture(content: Contents) -> str:
    """The name of the architecture; raises CheckpointError for one that is not read."""
    kind, name = (content.metadata.get(key) for key in (TYPE, ARCHITECTURE))
    if kind in WHOLE:
        raise CheckpointError(WHOLE[kind])
    if content.metadata.get(SPLIT, 1) not in (0, 1):
        raise CheckpointError(
            "a part of a model in several files; join them by llama.cpp's llama-gguf-split --merge"
        )
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise CheckpointError(
            f"a GGUF model of the architecture {name!r:.60}, which is not read; the architectures"
            f" that are read are {', '.join(sorted(ARCHITECTURES))}"
        )
    return name


def _tensors(
    content: Contents, one: Architecture, told: dict[str, object], file: str
) -> dict[str, Stored]:
    """The tensors by the names of the family, in the form that it expects."""
    config = convert(told, one.family.config, file)
    names, heads = one.family.names, config.heads
    own = {**names.parts, **config.own_names}
    parts = {there: own[part] for part, there in {**PARTS, **one.parts}.items() if part in own}
    outside = {
        "token_embd": names.body + names.embedding.removesuffix(".weight"),
        "token_embd_norm": names.body + names.embedding_norm,
        "position_embd": names.body + names.positions.removesuffix(".weight"),
        "output_norm": names.body + names.last_norm,
        "output": names.heads[0].removesuffix(".weight"),
    }
    found = {}
    for name, tensor in content.tensors.items():
        if FOLLOW.fullmatch(name) or name in (FREQUENCIES, SHORT, LONG):
            continue
        if (at := IN_LAYER.fullmatch(name)) and at[2] in parts:
            place = f"{names.body}{names.layer.format(at[1])}{parts[at[2]]}.{at[3]}"
            found[place] = one.change(at[2], tensor, heads)
        elif at := OUTSIDE.fullmatch(name):
            found[f"{outside[at[1]]}.{at[2]}"] = one.change(at[1], tensor, heads)
        else:
            found[name] = tensor
    return found
