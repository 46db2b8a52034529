"""Transformers of Sockeye 3 (Hieber et al. 2022): `params.best`, and beside it `config` and
`vocab.src.0.json` and `vocab.trg.0.json`.

Keys and values of one head lie together.  The table of positions is in the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from weights_import.arithmetic.activations import Activation
from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel
from weights_import.sources import encoder_decoder, framework, json_file, yaml_file
from weights_import.sources.containers import names_tensor
from weights_import.sources.framework import Marks, Names, Told
from weights_import.sources.framework_text import tokenizer_files
from weights_import.sources.lookup import Own
from weights_import.sources.safetensors_file import Size
from weights_import.sources.stored_rows import later, part
from weights_import.sources.torch_file import TorchFile
from weights_import.tensors import Stored

FORMAT = "Sockeye 3 Transformer (params.best, with config and vocabularies)"
TITLE = "Sockeye"
ALWAYS = "decoder.layers.0.enc_attention.ff_q.weight"
CONFIG = "config"
VOCABULARIES = {"source": "vocab.src.0.json", "target": "vocab.trg.0.json"}
FILES = CONFIG, *VOCABULARIES.values()
SOURCE, TARGET = "embedding_source.embedding.weight", "embedding_target.embedding.weight"
OUTPUT = "output_layer.weight", "output_layer.bias"
POSITIONS = "encoder.pos_embedding.weight", "decoder.pos_embedding.weight"
ORDERS = {("n", "r"): True, ("", "rn"): False}
"""The steps before and behind a sublayer without dropout, and whether norms stand before it."""
ACTIVATIONS: dict[str, Activation] = {"relu": "relu", "gelu": "gelu", "swish1": "swish"}
QUANTISED = "int8"


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a stack."""

    act_type: Literal["relu", "gelu", "swish1"] = "relu"
    attention_heads: Size
    block_prepended_cross_attention: bool = False
    decoder_type: Literal["transformer", "ssru_transformer"] = "transformer"
    positional_embedding_type: Literal["fixed", "learned"] = "fixed"
    postprocess_sequence: str
    preprocess_sequence: str
    use_glu: bool = False
    use_lhuc: bool = False

    @property
    def pre_norm(self) -> bool:
        """Whether norms stand before the sublayers; raises CheckpointError for another order."""
        steps = self.preprocess_sequence, self.postprocess_sequence
        found = ORDERS.get((steps[0].replace("d", ""), steps[1].replace("d", "")))
        if found is None:
            raise CheckpointError(f"{CONFIG}: the steps {steps!r:.80} around a sublayer, which are"
                                  " not read; read are 'n' and 'dr', or '' and 'drn'")  # fmt: skip
        return found


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of the configuration."""

    config_decoder: Stack
    config_encoder: Stack
    dtype: str = "float32"
    lhuc: bool = False
    neural_vocab_selection: str | None = None
    weight_tying_type: Literal["none", "src_trg_softmax", "src_trg", "trg_softmax"] = (
        "src_trg_softmax"
    )


def names(pre_norm: bool) -> Names:
    """Where the file has its tensors; the place of a norm is in its name."""
    at = "pre" if pre_norm else "post"
    return Names(
        layer={stack: f"{stack}.layers.{{i}}." for stack in ("encoder", "decoder")},
        parts={
            "encoder.self.norm": f"{at}_self_attention.layer_norm",
            "decoder.self.norm": f"{at}_autoregr_layer.layer_norm",
            "ssru.norm": f"{at}_autoregr_layer.layer_norm",
            "cross.norm": f"{at}_enc_attention.layer_norm",
            "ffn.norm": f"{at}_ff.layer_norm",
            **{f"encoder.self.{one}": "self_attention.ff_in" for one in ("query", "key", "value")},
            **{f"decoder.self.{one}": "autoregr_layer.ff_in" for one in ("query", "key", "value")},
            "encoder.self.output": "self_attention.ff_out",
            "decoder.self.output": "autoregr_layer.ff_out",
            "ssru.gate": "autoregr_layer.forget_gate",
            "ssru.cell": "autoregr_layer.linear",
            "cross.query": "enc_attention.ff_q",
            **{f"cross.{one}": "enc_attention.ff_kv" for one in ("key", "value")},
            "cross.output": "enc_attention.ff_out",
            "ffn.inner": "ff.ff1",
            "ffn.outer": "ff.ff2",
        },
        last_norm="{stack}.final_process.layer_norm",
    )


def recognises(path: Path) -> bool:
    """Whether the file is one of torch.save with a decoder of Sockeye 3."""
    return names_tensor(path, ALWAYS)


def companions(path: Path) -> list[Path]:
    """Its configuration, vocabularies and tokenizers."""
    return [*framework.present(path, FILES), *tokenizer_files(path.parent)]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    with located(path):
        return _read(path)


def _read(path: Path) -> FloatModel:
    file = TorchFile.of(path)
    framework.require(path, FILES)
    config = yaml_file.read(path.with_name(CONFIG), Config)
    refuse(config)
    stored = framework.tensors(file, file.value)
    vocabularies = {
        side: json_file.read(path.with_name(name), dict[str, int])
        for side, name in VOCABULARIES.items()
    }
    own = matrices(stored, config.weight_tying_type)
    shapes = {side: framework.rows(own[f"{side}_embedding"], side) for side in VOCABULARIES}
    framework.check_sizes(vocabularies, shapes)
    width, heads = shapes["target"][1], config.config_decoder.attention_heads
    tables = [framework.positions(stored.get(name), width) for name in POSITIONS]
    own |= {"positions": tables[0], "target_positions": tables[1]}
    shape = shape_of(stored, config, shapes, own)
    told = Told(
        title=TITLE,
        shape=shape,
        names=names(shape.pre_norm),
        own=own,
        vocabularies=vocabularies,
        marks=Marks(),
        change=lambda where, tensor: separated(where, tensor, heads),
        others={SOURCE, TARGET, *OUTPUT, *POSITIONS} | {n for n in stored if n.startswith(TASK)},
    )
    return framework.made(path, stored, told, file.file.sha256())


TASK = "length_ratio."
"""A part that predicts the length of a translation, which no search here asks for."""


def refuse(config: Config) -> None:
    """Raises CheckpointError for what is not read."""
    if config.dtype == QUANTISED:
        raise CheckpointError(
            "its weights are quantised to int8 already, which is not read; import the parameters"
            " in floats that they were made of"
        )
    one, other = config.config_encoder, config.config_decoder
    found = {
        "use_glu": one.use_glu or other.use_glu,
        "lhuc": config.lhuc or one.use_lhuc or other.use_lhuc,
        "neural_vocab_selection": config.neural_vocab_selection not in (None, "", "null"),
    }
    if there := [name for name, is_set in found.items() if is_set]:
        raise CheckpointError(f"{CONFIG}: {' and '.join(there)}, which is not read")
    if (one.attention_heads, one.act_type, one.pre_norm) != (
        other.attention_heads, other.act_type, other.pre_norm,
    ):  # fmt: skip
        raise CheckpointError(f"{CONFIG}: encoder and decoder differ, which is not read")


def separated(where: str, tensor: Stored, heads: int) -> Stored:
    """The rows of one projection of a matrix of several; raises CheckpointError for other rows."""
    block, _, one = where.partition(".")
    if block not in ("self", "cross") or one not in ("query", "key", "value"):
        return tensor
    if where == "cross.query" or not tensor.shape:
        return tensor
    if block == "self":
        size = tensor.shape[0] // 3
        if one == "query":
            return part(tensor, (3, size), 0, 0)
        tensor = later(tensor, size)
    return part(tensor, (heads, 2, tensor.shape[0] // (2 * heads)), 1, int(one == "value"))


def matrices(stored: Mapping[str, Stored], tying: str) -> dict[str, Own]:
    """The matrices of words; the same object where the configuration ties them."""
    source = stored.get(SOURCE)
    target = source if tying.startswith("src_trg") else stored.get(TARGET)
    output = target if tying.endswith("softmax") else stored.get(OUTPUT[0])
    return {
        "source_embedding": source, "target_embedding": target, "output.weight": output,
        "output.bias": stored.get(OUTPUT[1]),
    }  # fmt: skip


def shape_of(
    stored: Mapping[str, Stored],
    config: Config,
    shapes: Mapping[str, tuple[int, int]],
    own: Mapping[str, Own],
) -> encoder_decoder.Shape:
    """The shape of the model; raises CheckpointError if it is one that is not supported."""
    stack = config.config_decoder
    known, width = names(stack.pre_norm), shapes["target"][1]
    counts = framework.layers(stored, known, "ffn.inner")
    hidden = stored.get(known.stored("decoder.0.ffn.inner.weight"))
    tables = [table.shape[0] for name in ("positions", "target_positions") if (table := own[name])]
    if len(tables) < 2 or tables[0] != tables[1]:
        raise CheckpointError("tables of positions that are missing, or of two lengths")
    return encoder_decoder.Shape(
        d_model=width,
        heads=stack.attention_heads,
        d_ffn=framework.rows(hidden, "hidden layer")[0],
        encoder_layers=counts["encoder"],
        decoder_layers=counts["decoder"],
        activation=ACTIVATIONS[stack.act_type],
        source_vocabulary=shapes["source"][0],
        target_vocabulary=shapes["target"][0],
        embedding_scale=math.sqrt(width),
        pre_norm=stack.pre_norm,
        recurrent=stack.decoder_type == "ssru_transformer",
        max_positions=tables[0],
        target_positions=True,
    )
