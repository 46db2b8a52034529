"""Transformers of fairseq (Ott et al. 2019): `checkpoint_best.pt`, and dict.LANGUAGE.txt beside it.

Translation models and language models of the architectures transformer and transformer_lm are read.
Positions are sinusoids or a table, and begin at the third row, because fairseq counts them from the
padding on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from weights_import.arithmetic.activations import Activation
from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel
from weights_import.languages import code
from weights_import.sources import encoder_decoder, framework
from weights_import.sources.containers import names_tensor, outline
from weights_import.sources.framework import Marks, Names, Told
from weights_import.sources.framework_text import lines, numbered, tokenizer_files
from weights_import.sources.lookup import Own
from weights_import.sources.safetensors_file import Size
from weights_import.sources.stored_rows import later, part
from weights_import.tensors import Stored

FORMAT = "fairseq Transformer or language model (.pt, with dict.*.txt)"
TITLE = "fairseq"
ALWAYS = "decoder.embed_tokens.weight"
OPTIONS = re.compile(rb"X\x04\0\0\0args|X\x03\0\0\0cfg|\x8c\x04args|\x8c\x03cfg")
"""The key of the options in a pickle."""
FIRST = 2
"""The row of the first position, after those of <s> and <pad>."""
SPECIAL = "<s>", "<pad>", "</s>", "<unk>"
EPSILON = 1e-5  # PyTorch's
FOLLOW = re.compile(r"(.*\.)?(version|_float_tensor)")
OLD_NORMS = {
    "encoder": ("self_attn_layer_norm", "final_layer_norm"),
    "decoder": ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"),
}
OLD_NORM = re.compile(r"(encoder|decoder)\.layers\.(\d+)\.layer_norms\.(\d)\.(weight|bias)")
JOINED = re.compile(r"(.*)\.in_proj_(weight|bias)")
NAMES = Names(
    layer={stack: f"{stack}.layers.{{i}}." for stack in ("encoder", "decoder")},
    parts={
        "self.norm": "self_attn_layer_norm",
        "self.query": "self_attn.q_proj",
        "self.key": "self_attn.k_proj",
        "self.value": "self_attn.v_proj",
        "self.output": "self_attn.out_proj",
        "cross.norm": "encoder_attn_layer_norm",
        "cross.query": "encoder_attn.q_proj",
        "cross.key": "encoder_attn.k_proj",
        "cross.value": "encoder_attn.v_proj",
        "cross.output": "encoder_attn.out_proj",
        "ffn.norm": "final_layer_norm",
        "ffn.inner": "fc1",
        "ffn.outer": "fc2",
    },
    last_norm="{stack}.layer_norm",
    embedding_norm="{stack}.layernorm_embedding",
)
OUTSIDE = {
    *(f"{stack}.embed_tokens.weight" for stack in ("encoder", "decoder")),
    *(f"{stack}.embed_positions.weight" for stack in ("encoder", "decoder")),
    "decoder.output_projection.weight",
    "decoder.embed_out",
}
"""What is asked for by its own rules."""
ACTIVATIONS: dict[str, Activation] = {
    "relu": "relu",
    "relu_fast": "relu",
    "gelu": "gelu",
    "gelu_accurate": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "swish": "swish",
}
Positions = Annotated[int, msgspec.Meta(ge=1)]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of the options; others do not change what a model computes."""

    activation_fn: Literal["relu", "relu_fast", "gelu", "gelu_accurate", "gelu_fast", "swish"] = (
        "relu"
    )
    adaptive_input: Literal[False] = False
    adaptive_softmax_cutoff: Literal[""] = ""
    character_embeddings: Literal[False] = False
    cross_self_attention: Literal[False] = False
    decoder_attention_heads: Size
    decoder_learned_pos: bool = False
    decoder_normalize_before: bool = False
    encoder_attention_heads: Size | None = None
    encoder_learned_pos: bool = False
    encoder_normalize_before: bool = False
    layernorm_embedding: bool = False
    max_source_positions: Positions = 1024
    max_target_positions: Positions = 1024
    no_cross_attention: Literal[False] = False
    no_decoder_final_norm: Literal[False] = False
    no_scale_embedding: bool = False
    no_token_positional_embeddings: Literal[False] = False
    share_all_embeddings: bool = False
    share_decoder_input_output_embed: bool = False


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of the options of the task."""

    source_lang: str | None = None
    target_lang: str | None = None


def recognises(path: Path) -> bool:
    """Whether the file is one of torch.save with options and a decoder of fairseq."""
    return names_tensor(path, ALWAYS) and OPTIONS.search(outline(path)) is not None


def companions(path: Path) -> list[Path]:
    """Its dictionaries and its tokenizers."""
    return [*dictionaries(path.parent).values(), *tokenizer_files(path.parent)]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    with located(path):
        return _read(path)


def _read(path: Path) -> FloatModel:
    file, value = framework.saved(path)
    model, task = told_options(value)
    stored = renamed(framework.tensors(file, value.get("model")))
    translates = "encoder.embed_tokens.weight" in stored
    vocabularies, languages = vocabularies_of(path.parent, task, translates)
    own = embeddings(stored, model)
    names = ["target"] + ["source"] * translates
    shapes = {side: framework.rows(own[f"{side}_embedding"], side) for side in names}
    framework.check_sizes(vocabularies, shapes)
    own |= positions(stored, model, shapes["target"][1], translates)
    told = Told(
        title=TITLE,
        shape=shape_of(stored, model, shapes, own),
        names=NAMES,
        own=own,
        vocabularies=vocabularies,
        marks=Marks(start="</s>"),
        epsilon=EPSILON,
        others={name for name in stored if FOLLOW.fullmatch(name) or name in OUTSIDE},
        languages=languages,
    )
    return framework.made(path, stored, told, file.file.sha256())


def told_options(value: Mapping[str, Any]) -> tuple[Options, Task]:
    """The options of the model and of the task; raises CheckpointError without them."""
    config = value.get("cfg")
    if isinstance(config, dict):
        model, task = config.get("model"), config.get("task")
    else:
        model = task = value.get("args")
    flat = dict(model) if isinstance(model, dict) else model
    for stack in ("encoder", "decoder"):
        inner = flat.get(stack) if isinstance(flat, dict) else None
        if isinstance(flat, dict) and isinstance(inner, dict):
            flat |= {f"{stack}_{name}": one for name, one in inner.items() if isinstance(name, str)}
    if isinstance(flat, dict) and not flat.get("adaptive_softmax_cutoff"):
        flat.pop("adaptive_softmax_cutoff", None)
    found = framework.options(flat, Options, "its options")
    return found, framework.options(task or {}, Task, "its task")


def renamed(stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """The tensors by their newer names; one matrix of queries, keys and values becomes three."""
    found = {}
    for name, tensor in stored.items():
        if at := OLD_NORM.fullmatch(name):
            norms = OLD_NORMS[at[1]]
            if int(at[3]) < len(norms):
                name = f"{at[1]}.layers.{at[2]}.{norms[int(at[3])]}.{at[4]}"
        if (at := JOINED.fullmatch(name)) and tensor.shape:
            size = tensor.shape[0] // 3
            for i, one in enumerate("qkv"):
                found[f"{at[1]}.{one}_proj.{at[2]}"] = part(tensor, (3, size), 0, i)
        else:
            found[name] = tensor
    return found


def embeddings(stored: Mapping[str, Stored], model: Options) -> dict[str, Own]:
    """The matrices of words; the same object where the options tie them."""
    source = stored.get("encoder.embed_tokens.weight")
    target = source if model.share_all_embeddings else stored.get(ALWAYS)
    output = stored.get("decoder.output_projection.weight", stored.get("decoder.embed_out"))
    if model.share_all_embeddings or model.share_decoder_input_output_embed or output is None:
        output = target
    return {
        "source_embedding": source, "target_embedding": target, "output.weight": output,
        "output.bias": None,
    }  # fmt: skip


def positions(
    stored: Mapping[str, Stored], model: Options, width: int, translates: bool
) -> dict[str, Own]:
    """The tables of positions; raises CheckpointError where one stack alone has its own."""
    learned = {"encoder": model.encoder_learned_pos, "decoder": model.decoder_learned_pos}
    longest = min(model.max_source_positions, model.max_target_positions)
    if not translates:
        learned.pop("encoder")
        longest = model.max_target_positions
    tables = {
        stack: later(stored[name], FIRST)
        for stack in learned
        if learned[stack] and (name := f"{stack}.embed_positions.weight") in stored
    }
    if not any(learned.values()):
        return {"positions": framework.waves(FIRST, longest, width)}
    if len(tables) < len(learned):
        raise CheckpointError("positions that only one stack has learned, which is not read")
    cut = {stack: framework.positions(table, width) for stack, table in tables.items()}
    first = cut.get("encoder", cut["decoder"])
    return {"positions": first, "target_positions": cut["decoder"] if translates else None}


def shape_of(
    stored: Mapping[str, Stored],
    model: Options,
    shapes: Mapping[str, tuple[int, int]],
    own: Mapping[str, Own],
) -> encoder_decoder.Shape:
    """The shape of the model; raises CheckpointError if it is one that is not supported."""
    counts = framework.layers(stored, NAMES, "ffn.inner")
    translates = "source" in shapes
    if translates and (model.encoder_attention_heads, model.encoder_normalize_before) != (
        model.decoder_attention_heads,
        model.decoder_normalize_before,
    ):
        raise CheckpointError("encoder and decoder have other heads or norms, which is not read")
    table, hidden = own["positions"], stored[NAMES.stored("decoder.0.ffn.inner.weight")]
    return encoder_decoder.Shape(
        d_model=shapes["target"][1],
        heads=model.decoder_attention_heads,
        d_ffn=framework.rows(hidden, "hidden layer")[0],
        encoder_layers=counts["encoder"] if translates else 0,
        decoder_layers=counts["decoder"],
        activation=ACTIVATIONS[model.activation_fn],
        source_vocabulary=shapes["source"][0] if translates else 0,
        target_vocabulary=shapes["target"][0],
        embedding_scale=1.0 if model.no_scale_embedding else math.sqrt(shapes["target"][1]),
        pre_norm=model.decoder_normalize_before,
        embedding_norm=model.layernorm_embedding,
        max_positions=table.shape[0] if table is not None else 0,
        target_positions=own.get("target_positions") is not None,
    )


# Dictionaries.


def dictionaries(folder: Path) -> dict[str, Path]:
    """The dictionaries in a folder, by the language in their names, which may be empty."""
    named_ = sorted(folder.glob("dict*.txt"))
    return {path.name[len("dict") : -len(".txt")].strip("."): path for path in named_}


def vocabularies_of(
    folder: Path, task: Task, translates: bool
) -> tuple[dict[str, dict[str, int]], tuple[str, str] | None]:
    """Ids by piece of each side, and the languages; raises CheckpointError without dictionaries."""
    there = dictionaries(folder)
    if not translates:
        path = there.get("", next(iter(there.values()), None))
        if path is None:
            raise CheckpointError("no dict.txt beside it")
        return {"target": dictionary(path)}, None
    pair = task.source_lang, task.target_lang
    if None in pair or not set(pair) <= there.keys():
        wanted = " and ".join(f"dict.{one or 'LANGUAGE'}.txt" for one in pair)
        raise CheckpointError(f"no {wanted} beside it")
    found = {
        side: dictionary(there[str(one)])
        for side, one in zip(("source", "target"), pair, strict=True)
    }
    codes = [code(re.split("[-_]", str(one))) for one in pair]
    return found, (codes[0], codes[1]) if all(codes) else None


def dictionary(path: Path) -> dict[str, int]:
    """Ids by piece: the special pieces, then a piece and its count a line."""
    listed = []
    for line in lines(path):
        piece, space, count = line.removesuffix(" #fairseq:overwrite").rpartition(" ")
        if not space or not count.isdecimal():
            raise CheckpointError(f"{path.name}: {line!r:.60} is no piece with its count")
        listed.append(piece)
    return numbered([*SPECIAL, *listed], path.name)
