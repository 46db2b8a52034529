"""Transformers of OpenNMT-py (Klein et al. 2017), versions 2 and 3: `model_step_N.pt`.

The file has the tensors, the generator of the logits, the options and the vocabularies.  Norms
stand before the sublayers.  Nothing stands around a source.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from weights_import.arithmetic.activations import Activation
from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel
from weights_import.sources import encoder_decoder, framework
from weights_import.sources.containers import names_tensor
from weights_import.sources.framework import Marks, Names, Told
from weights_import.sources.framework_text import numbered, tokenizer_files
from weights_import.sources.lookup import Own
from weights_import.sources.safetensors_file import Size
from weights_import.tensors import Stored

FORMAT = "OpenNMT-py Transformer or language model (.pt)"
TITLE = "OpenNMT-py"
ALWAYS = "decoder.transformer_layers.0.feed_forward.w_1.weight"
SIDES = {"source": ("encoder", "src"), "target": ("decoder", "tgt")}
TABLE = "{}.embeddings.make_embedding.emb_luts.0.weight"
POSITIONS = "{}.embeddings.make_embedding.pe.pe"
ATTENTION = {
    "query": "linear_query",
    "key": "linear_keys",
    "value": "linear_values",
    "output": "final_linear",
}
NAMES = Names(
    layer={"encoder": "encoder.transformer.{i}.", "decoder": "decoder.transformer_layers.{i}."},
    parts={
        "encoder.self.norm": "layer_norm",
        "decoder.self.norm": "layer_norm_1",
        "cross.norm": "layer_norm_2",
        **{f"self.{part}": f"self_attn.{name}" for part, name in ATTENTION.items()},
        **{f"cross.{part}": f"context_attn.{name}" for part, name in ATTENTION.items()},
        "ffn.norm": "feed_forward.layer_norm",
        "ffn.inner": "feed_forward.w_1",
        "ffn.outer": "feed_forward.w_2",
    },
    last_norm="{stack}.layer_norm",
)
ACTIVATIONS: dict[str, Activation] = {"relu": "relu", "gelu": "gelu"}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of the options; others do not change what a model computes."""

    copy_attn: Literal[False] = False
    decoder_type: Literal["transformer", "transformer_lm"] = "transformer"
    encoder_type: Literal["transformer"] = "transformer"
    heads: Size = 8
    layer_norm: Literal["standard"] = "standard"
    max_relative_positions: Literal[0] = 0
    model_task: Literal["seq2seq", "lm"] = "seq2seq"
    model_type: Literal["text"] = "text"
    norm_eps: float = 1e-6
    num_experts: Literal[0] = 0
    num_kv: Literal[0] = 0
    parallel_residual: Literal[False] = False
    pos_ffn_activation_fn: Literal["relu", "gelu"] = "relu"
    position_encoding: Literal[True]
    quant_type: Literal[""] = ""
    relative_positions_buckets: Literal[0] = 0
    self_attn_type: Literal["scaled-dot", "scaled-dot-flash"] = "scaled-dot"
    share_decoder_embeddings: bool = False
    share_embeddings: bool = False


def recognises(path: Path) -> bool:
    """Whether the file is one of torch.save with a decoder of OpenNMT-py."""
    return names_tensor(path, ALWAYS)


def companions(path: Path) -> list[Path]:
    """Its tokenizers."""
    return tokenizer_files(path.parent)


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the tokenizers beside it; raises CheckpointError."""
    with located(path):
        return _read(path)


def _read(path: Path) -> FloatModel:
    file, value = framework.saved(path)
    model = framework.options(value.get("opt"), Options, "its options")
    stored = framework.tensors(file, value.get("model"))
    head = framework.tensors(file, value.get("generator"))
    translates = model.model_task == "seq2seq"
    sides = SIDES if translates else {"target": SIDES["target"]}
    vocabularies = {side: vocabulary(value.get("vocab"), name) for side, (_, name) in sides.items()}
    own = matrices(stored, head, model)
    shapes = {side: framework.rows(own[f"{side}_embedding"], side) for side in sides}
    framework.check_sizes(vocabularies, shapes)
    width = shapes["target"][1]
    own["positions"] = framework.positions(stored.get(POSITIONS.format("decoder")), width)
    told = Told(
        title=TITLE,
        shape=shape_of(stored, model, shapes, own["positions"]),
        names=NAMES,
        own=own,
        vocabularies=vocabularies,
        marks=Marks(start=started(value.get("vocab")), source_ends=False),
        epsilon=model.norm_eps,
        others={name.format(stack) for name in (TABLE, POSITIONS) for stack, _ in SIDES.values()},
    )
    return framework.made(path, stored, told, file.file.sha256())


def matrices(
    stored: Mapping[str, Stored], head: Mapping[str, Stored], model: Options
) -> dict[str, Own]:
    """The matrices of words; the same object where the options tie them."""
    source = stored.get(TABLE.format("encoder"))
    target = stored.get(TABLE.format("decoder"))
    if model.share_embeddings and source is not None:
        target = source
    weight, bias = (head.get(leaf, head.get(f"0.{leaf}")) for leaf in ("weight", "bias"))
    if model.share_decoder_embeddings:
        weight = target
    return {
        "source_embedding": source, "target_embedding": target, "output.weight": weight,
        "output.bias": bias,
    }  # fmt: skip


def shape_of(
    stored: Mapping[str, Stored],
    model: Options,
    shapes: Mapping[str, tuple[int, int]],
    positions: Own,
) -> encoder_decoder.Shape:
    """The shape of the model; raises CheckpointError if it is one that is not supported."""
    counts = framework.layers(stored, NAMES, "ffn.inner")
    if positions is None:
        raise CheckpointError(f"no {POSITIONS.format('decoder')}, the table of positions")
    width = shapes["target"][1]
    return encoder_decoder.Shape(
        d_model=width,
        heads=model.heads,
        d_ffn=framework.rows(stored.get(ALWAYS), "hidden layer")[0],
        encoder_layers=counts["encoder"] if "source" in shapes else 0,
        decoder_layers=counts["decoder"],
        activation=ACTIVATIONS[model.pos_ffn_activation_fn],
        source_vocabulary=shapes["source"][0] if "source" in shapes else 0,
        target_vocabulary=shapes["target"][0],
        embedding_scale=math.sqrt(width),
        pre_norm=True,
        max_positions=positions.shape[0],
    )


# Vocabularies.


def vocabulary(told: object, side: str) -> dict[str, int]:
    """Ids by piece: a list in version 3, and in version 2 a field of torchtext with such a list.

    Raises CheckpointError for anything else.
    """
    listed = told.get(side) if isinstance(told, dict) else None
    if isinstance(listed, dict):
        listed = _of_field(listed)
    if not isinstance(listed, list) or not all(isinstance(piece, str) for piece in listed):
        raise CheckpointError(f"no vocabulary of the {side} in it")
    return numbered(listed, f"the vocabulary of the {side}")


def _of_field(field: Mapping[str, Any]) -> object:
    """The list of pieces of a field, which may be the first one of several."""
    inner = field.get("fields")
    if isinstance(inner, list) and inner:
        match inner[0]:
            case (_, dict() as first):
                field = first
    found = field.get("vocab")
    return found.get("itos") if isinstance(found, dict) else None


def started(told: object) -> str:
    """The token that a decoder begins with."""
    found = told.get("decoder_start_token") if isinstance(told, dict) else None
    return found if isinstance(found, str) else "<s>"
