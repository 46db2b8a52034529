"""Transformers with encoder and decoder as CTranslate2 keeps them: `model.bin`, and beside it
`config.json` and the vocabularies; models of OpenNMT and Argos Translate, and what CTranslate2's
converters write.

Weights are float32, float16 or bfloat16, or int8 or int16 with their scales.  Query, key and value
of self-attention are one matrix, and so are key and value of attention to the source.  Texts need a
SentencePiece model (`*.spm` or `*.model` beside the file, or the `sentencepiece.model` of the
folder above) whose pieces the vocabulary numbers, or a vocabulary of single characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from weights_import.float_model import (
    Activation,
    Architecture,
    CheckpointError,
    Float32,
    FloatModel,
    declare,
    sinusoids,
)
from weights_import.sources.ctranslate2_file import contents, specification
from weights_import.sources.ctranslate2_frame import frame_of, frames, refuse_languages
from weights_import.sources.ctranslate2_text import (
    CONFIG,
    WANTED,
    Config,
    languages,
    read_config,
    read_vocabulary,
    tokenizer_files,
    tokenizers,
    vocabulary_files,
)
from weights_import.sources.ctranslate2_variables import STACKS, Variables
from weights_import.sources.vocabulary import require

FORMAT = "CTranslate2 Transformer (model.bin)"
HEADS = {"TransformerBase": 8, "TransformerBig": 16, "TransformerSpec": 8}
"""What is read, and its heads where no variable tells."""
REVISIONS = range(2, 8)
ACTIVATIONS: dict[float, Activation] = {0: "relu", 2: "swish", 3: "gelu"}
LAYER_NORM_EPSILON = 1e-5
MAX_LENGTH_FACTOR = 3.0
DOUBT = (
    "its configuration does not tell what stands around a source, and its kind is not known; ask"
    " for it by --source-frame, mostly eos"
)
UNTOLD = "none"
POSITIONS = 1024
"""Of the sinusoids that a file without a table stands for, which begin with position 1."""

NORM_PARTS = {"gain": "gamma", "bias": "beta"}
NORMS = {"norm": "layer_norm", "embedding_norm": "layernorm_embedding"}
BLOCKS = {
    "self": (
        "self_attention",
        {"query": (0, 0), "key": (0, 1), "value": (0, 2), "output": (1, 0)},
    ),
    "cross": ("attention", {"query": (0, 0), "key": (1, 0), "value": (1, 1), "output": (2, 0)}),
    "ffn": ("ffn", {"inner": (0, 0), "outer": (1, 0)}),
}
"""Canonical block -> its name, and for each of its maps the linear map and which part of that."""
SCALES = (
    "scale_embeddings",
    "embeddings/multiply_by_sqrt_depth",
    "embeddings_0/multiply_by_sqrt_depth",
)
"""Where a file may say what embeddings are multiplied by."""


def recognises(path: Path) -> bool:
    """Whether the file is one of CTranslate2's, with any model in it."""
    named = specification(path)
    return named in HEADS or named.endswith("Spec")


def companions(path: Path) -> list[Path]:
    """Its configuration, vocabularies and tokenizers."""
    folder = path.parent
    named = [folder / CONFIG, *vocabulary_files(folder).values(), *tokenizer_files(folder)]
    return [file for file in dict.fromkeys(named) if file.is_file()]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    try:
        content = contents(path)
        if content.specification not in HEADS or content.revision not in REVISIONS:
            raise CheckpointError(
                f"a model of CTranslate2's {content.specification} of revision {content.revision},"
                f" which is not read; supported are {', '.join(HEADS)} of revisions {REVISIONS[0]}"
                f" to {REVISIONS[-1]}, which have an encoder and a decoder"
            )
        variables = Variables(content.variables)
        config = read_config(path.parent, content.version, variables)
        vocabularies = {
            side: read_vocabulary(file, config.unk_token)
            for side, file in vocabulary_files(path.parent).items()
        }
        shape = architecture(variables, config, vocabularies, HEADS[content.specification])
        model = FloatModel(
            shape,
            canonical(shape, variables),
            tokenizers=tokenizers(path.parent, vocabularies, config),
            provenance={"file": path.name, "format": "CTranslate2", "sha256": content.sha256},
            languages=languages(path.parent),
            frames=frames(vocabularies["source"], config),
            doubt="" if frame_of(variables, config) else DOUBT,
            wanted=WANTED,
            warnings=alignment(variables),
        )
        model.validate()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return model


def architecture(
    variables: Variables, config: Config, vocabularies: Mapping[str, Mapping[str, int]], heads: int
) -> Architecture:
    """The architecture; raises CheckpointError if it is one that is not supported."""
    if config.quantization_type:
        raise CheckpointError(f"quantization_type {config.quantization_type} in {CONFIG}")
    sizes = {}
    for side, stack in zip(("source", "target"), STACKS, strict=True):
        if side not in vocabularies:
            raise CheckpointError(f"no vocabulary of the {side} beside it")
        table = embedding(variables, stack)
        if table is None or table.ndim != 2 or len(table) != len(vocabularies[side]):
            found = "no" if table is None else list(table.shape)
            told = f"{found} embeddings for a {side} vocabulary of {len(vocabularies[side])}"
            raise CheckpointError(told)
        sizes[side] = table.shape
    hidden = variables.tensor("encoder/layer_0/ffn/linear_0/weight")
    activation = variables.shared("activation", 0)
    if activation not in ACTIVATIONS:
        known = ", ".join(f"{number:g} {name}" for number, name in ACTIVATIONS.items())
        raise CheckpointError(f"activation {activation:g} (supported: {known})")
    width = sizes["target"][1]
    refuse_languages(vocabularies["target"])
    source, target = (special(vocabularies[side], config) for side in ("source", "target"))
    named = frame_of(variables, config) or UNTOLD
    return Architecture(
        d_model=width,
        heads=int(variables.shared("num_heads", heads)),
        d_ffn=0 if hidden is None else len(hidden),
        encoder_layers=variables.layers("encoder"),
        decoder_layers=variables.layers("decoder"),
        decoder_cell="self_attention",
        norm="l2",
        norm_position="pre" if variables.shared("pre_norm", 1) else "post",
        norm_epsilon=config.layer_norm_epsilon or LAYER_NORM_EPSILON,
        attention="softmax",
        activation=ACTIVATIONS[activation],
        embedding_scale=embedding_scale(variables, width),
        start=start(variables, config, vocabularies["target"]),
        eos=target[0],
        unk=target[1],
        source_vocabulary=sizes["source"][0],
        target_vocabulary=sizes["target"][0],
        max_length_factor=MAX_LENGTH_FACTOR,
        max_positions=len(position_tables(variables, width)[0]),
        source_frame=frames(vocabularies["source"], config)[named],
        source_special=None if source == target else source,
        embedding_norm="encoder/layernorm_embedding/gamma" in variables,
    )


def special(vocabulary: Mapping[str, int], config: Config) -> tuple[int, int]:
    """The ids of the end of a sentence and of what is unknown; raises CheckpointError without."""
    names = [config.eos_token, config.unk_token]
    if config.add_source_bos:
        names.append(config.bos_token or "begin of a sentence")
    require(vocabulary, names)
    return vocabulary[config.eos_token], vocabulary[config.unk_token]


def start(variables: Variables, config: Config, vocabulary: Mapping[str, int]) -> int:
    """The token that a decoder begins with, -1 for none; raises CheckpointError where each
    translation is to begin with one of its own, such as a language."""
    if variables.number("decoder/start_from_zero_embedding", 0):
        return -1
    token = config.decoder_start_token
    if token is None:
        raise CheckpointError(
            "each translation begins with a token that is chosen for it, such as its language,"
            " which is not supported; import a model of one pair of languages"
        )
    if token not in vocabulary:
        raise CheckpointError(f"the decoder begins with {token!r}, which is no token")
    return vocabulary[token]


def alignment(variables: Variables) -> list[str]:
    """What is to be said of a model that was trained to align in another layer than the last."""
    layer, layers = variables.number("decoder/alignment_layer", -1), variables.layers("decoder")
    if layer in (-1, layers - 1):
        return []
    return [
        f"the model aligns by layer {layer:g} of its decoder (alignment_layer), but alignments here"
        " are those of the last one"
    ]


def embedding(variables: Variables, stack: str) -> Float32 | None:
    """The table of a stack, which newer files number."""
    newer = variables.tensor(f"{stack}/embeddings_0/weight")
    return variables.tensor(f"{stack}/embeddings/weight") if newer is None else newer


def embedding_scale(variables: Variables, width: int) -> float:
    """What embeddings are multiplied by: the root of their width, unless a flag says no, or a
    number says what; raises CheckpointError where the stacks differ."""
    scales: list[float] = []
    for stack in STACKS:
        scale = float(width) ** 0.5
        for name in SCALES:
            if (at := f"{stack}/{name}") in variables:
                told = variables.number(at, 1)
                scale = told if not variables.is_flag(at) else scale if told else 1.0
        scales.append(scale)
    if scales[0] != scales[1]:
        raise CheckpointError(f"embeddings are scaled by {scales[0]:g} and by {scales[1]:g}")
    return scales[0]


def position_tables(variables: Variables, width: int) -> tuple[Float32, Float32]:
    """The tables of source and target, of one length, or the sinusoids that both take without one;
    raises CheckpointError where only one of them has a table."""
    source, target = (variables.tensor(f"{stack}/position_encodings/encodings") for stack in STACKS)
    if source is None and target is None:
        return (sinusoids(1, POSITIONS, width),) * 2
    if source is None or target is None:
        raise CheckpointError("encoder and decoder have not both a table of positions")
    rows = min(len(source), len(target))
    return source[:rows], target[:rows]


def canonical(shape: Architecture, variables: Variables) -> dict[str, Float32]:
    """The tensors under their canonical names, and those that have none under their own."""
    source, target = position_tables(variables, shape.d_model)
    tensors = {
        "source_embedding": embedding(variables, "encoder"),
        "target_embedding": embedding(variables, "decoder"),
        "positions": source,
        "target_positions": None if np.array_equal(source, target) else target,
        "output.weight": variables.tensor("decoder/projection/weight"),
        "output.bias": variables.tensor("decoder/projection/bias"),
    }
    for name in declare(shape):
        if name not in tensors:
            tensors[name] = inner(variables, *name.split("."))
    return {name: t for name, t in tensors.items() if t is not None} | variables.rest()


def inner(variables: Variables, stack: str, *path: str) -> Float32 | None:
    """A tensor of a stack by the rest of its canonical name."""
    if len(path) == 2:
        return variables.tensor(f"{stack}/{NORMS[path[0]]}/{NORM_PARTS[path[1]]}")
    layer, block, kind, leaf = path
    named, maps = BLOCKS[block]
    at = f"{stack}/layer_{layer}/{named}"
    if kind == "norm":
        return variables.tensor(f"{at}/layer_norm/{NORM_PARTS[leaf]}")
    number, part = maps[kind]
    fused = variables.tensor(f"{at}/linear_{number}/{leaf}")
    parts = len([place for place in maps.values() if place[0] == number])
    if fused is None or len(fused) % parts:
        return fused
    return np.split(fused, parts)[part]
