"""Transformers of JoeyNMT (Kreutzer et al. 2019), versions 1 and 2: `best.ckpt`, and beside it
`config.yaml`, `src_vocab.txt` and `trg_vocab.txt`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from weights_import.arithmetic.activations import Activation
from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel
from weights_import.languages import code
from weights_import.sources import encoder_decoder, framework, yaml_file
from weights_import.sources.containers import names_tensor
from weights_import.sources.framework import Marks, Names, Told
from weights_import.sources.framework_text import lines, numbered, tokenizer_files
from weights_import.sources.lookup import Own
from weights_import.sources.safetensors_file import Size
from weights_import.tensors import Stored

FORMAT = "JoeyNMT Transformer (.ckpt, with config.yaml and vocabularies)"
TITLE = "JoeyNMT"
ALWAYS = "decoder.layers.0.src_trg_att.k_layer.weight"
CONFIG = "config.yaml"
VOCABULARIES = {"source": "src_vocab.txt", "target": "trg_vocab.txt"}
FILES = CONFIG, *VOCABULARIES.values()
SOURCE, TARGET, OUTPUT = (
    "src_embed.lut.weight",
    "trg_embed.lut.weight",
    "decoder.output_layer.weight",
)
POSITIONS = "encoder.pe.pe", "decoder.pe.pe"
ATTENTION = {"query": "q_layer", "key": "k_layer", "value": "v_layer", "output": "output_layer"}
NAMES = Names(
    layer={stack: f"{stack}.layers.{{i}}." for stack in ("encoder", "decoder")},
    parts={
        "encoder.self.norm": "layer_norm",
        "decoder.self.norm": "x_layer_norm",
        "cross.norm": "dec_layer_norm",
        **{f"encoder.self.{part}": f"src_src_att.{name}" for part, name in ATTENTION.items()},
        **{f"decoder.self.{part}": f"trg_trg_att.{name}" for part, name in ATTENTION.items()},
        **{f"cross.{part}": f"src_trg_att.{name}" for part, name in ATTENTION.items()},
        "ffn.norm": "feed_forward.layer_norm",
        "ffn.inner": "feed_forward.pwff_layer.0",
        "ffn.outer": "feed_forward.pwff_layer.3",
    },
    last_norm="{stack}.layer_norm",
)
ACTIVATIONS: dict[str, Activation] = {"relu": "relu", "gelu": "gelu", "swish": "swish"}


class Embeddings(msgspec.Struct, frozen=True):
    """The options of the embeddings of a stack."""

    scale: bool = False


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a stack; version 1 has norms before sublayers, and does not say so."""

    type: Literal["transformer"]
    activation: Literal["relu", "gelu", "swish"] = "relu"
    alpha: Literal[1, "1.0"] = 1
    embeddings: Embeddings = Embeddings()
    layer_norm: Literal["pre", "post"] | None = None
    num_heads: Size


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of the options of the model."""

    decoder: Stack
    encoder: Stack
    tied_embeddings: bool = False
    tied_softmax: bool = False


class Side(msgspec.Struct, frozen=True):
    """What is read of the options of the data of one side, in version 2."""

    lang: str = ""


class Data(msgspec.Struct, frozen=True):
    """What is read of the options of the data: in version 1, the languages themselves."""

    src: Side | str = ""
    trg: Side | str = ""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of config.yaml."""

    data: Data = Data()
    model: Model


def recognises(path: Path) -> bool:
    """Whether the file is one of torch.save with a decoder of JoeyNMT."""
    return names_tensor(path, ALWAYS)


def companions(path: Path) -> list[Path]:
    """Its configuration, vocabularies and tokenizers."""
    return [*framework.present(path, FILES), *tokenizer_files(path.parent)]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    with located(path):
        return _read(path)


def _read(path: Path) -> FloatModel:
    file, value = framework.saved(path)
    framework.require(path, FILES)
    config = yaml_file.read(path.with_name(CONFIG), Config)
    stored = framework.tensors(file, value.get("model_state"))
    vocabularies = {
        side: numbered(lines(path.with_name(name)), name) for side, name in VOCABULARIES.items()
    }
    own = matrices(stored, config.model)
    shapes = {side: framework.rows(own[f"{side}_embedding"], side) for side in VOCABULARIES}
    framework.check_sizes(vocabularies, shapes)
    own["positions"] = framework.positions(stored.get(POSITIONS[0]), shapes["target"][1])
    told = Told(
        title=TITLE,
        shape=shape_of(stored, config.model, shapes, own["positions"]),
        names=NAMES,
        own=own,
        vocabularies=vocabularies,
        marks=Marks(),
        others={SOURCE, TARGET, OUTPUT, *POSITIONS},
        languages=languages(config.data),
    )
    return framework.made(path, stored, told, file.file.sha256())


def matrices(stored: Mapping[str, Stored], model: Model) -> dict[str, Own]:
    """The matrices of words; the same object where the options tie them."""
    source = stored.get(SOURCE)
    target = source if model.tied_embeddings else stored.get(TARGET)
    output = target if model.tied_softmax else stored.get(OUTPUT)
    return {
        "source_embedding": source, "target_embedding": target, "output.weight": output,
        "output.bias": None,
    }  # fmt: skip


def shape_of(
    stored: Mapping[str, Stored],
    model: Model,
    shapes: Mapping[str, tuple[int, int]],
    positions: Own,
) -> encoder_decoder.Shape:
    """The shape of the model; raises CheckpointError if it is one that is not supported."""
    one, other = model.encoder, model.decoder
    if (one.num_heads, one.activation, one.embeddings) != (
        other.num_heads, other.activation, other.embeddings,
    ):  # fmt: skip
        raise CheckpointError(f"{CONFIG}: encoder and decoder differ, which is not read")
    if positions is None:
        raise CheckpointError(f"no {POSITIONS[0]}, the table of positions")
    norms = {stack: f"{stack}.layer_norm.weight" in stored for stack in ("encoder", "decoder")}
    told = {"encoder": one.layer_norm, "decoder": other.layer_norm}
    before = {
        stack: (told[stack] or ("pre" if norms[stack] else "post")) == "pre" for stack in norms
    }
    if before != norms or before["encoder"] != before["decoder"]:
        raise CheckpointError(
            f"{CONFIG}: norms before the sublayers of both stacks and behind the last one, or"
            " behind all sublayers, are read, but not what layer_norm and the tensors tell"
        )
    counts = framework.layers(stored, NAMES, "ffn.inner")
    width = shapes["target"][1]
    hidden = stored.get(NAMES.stored("decoder.0.ffn.inner.weight"))
    return encoder_decoder.Shape(
        d_model=width,
        heads=one.num_heads,
        d_ffn=framework.rows(hidden, "hidden layer")[0],
        encoder_layers=counts["encoder"],
        decoder_layers=counts["decoder"],
        activation=ACTIVATIONS[one.activation],
        source_vocabulary=shapes["source"][0],
        target_vocabulary=shapes["target"][0],
        embedding_scale=math.sqrt(width) if one.embeddings.scale else 1.0,
        pre_norm=before["encoder"],
        max_positions=positions.shape[0],
    )


def languages(data: Data) -> tuple[str, str] | None:
    """The codes of both languages, if the options tell them."""
    told = [side.lang if isinstance(side, Side) else side for side in (data.src, data.trg)]
    codes = [code(re.split("[-_]", one)) for one in told]
    return (codes[0], codes[1]) if all(codes) else None
