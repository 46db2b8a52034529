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
from dataclasses import replace
from pathlib import Path

from weights_import.composer import Composer, Normed
from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel, Generation
from weights_import.sources import ctranslate2_decoder, ctranslate2_encoder, encoder_decoder
from weights_import.sources.ctranslate2_file import Contents, contents, specification
from weights_import.sources.ctranslate2_frame import frame, frame_of, frames
from weights_import.sources.ctranslate2_languages import Spoken, spoken
from weights_import.sources.ctranslate2_numbers import (
    LAYER_NORM_EPSILON,
    activation,
    embedding_scale,
)
from weights_import.sources.ctranslate2_parts import refuse_parts, unused
from weights_import.sources.ctranslate2_relative import READ, has_relative, relative_positions
from weights_import.sources.ctranslate2_tensors import embedding, finder, position_tables
from weights_import.sources.ctranslate2_text import (
    CONFIG,
    LIBRARY,
    WANTED,
    Config,
    languages,
    read_config,
    read_vocabulary,
    refuse_quantisation,
    target_prefix,
    tokenizer_files,
    tokenizers,
    vocabulary_files,
)
from weights_import.sources.ctranslate2_variables import STACKS, Variables
from weights_import.sources.vocabulary import require
from weights_import.tensors import Stored

FORMAT = "CTranslate2 Transformer (model.bin)"
HEADS = {"TransformerBase": 8, "TransformerBig": 16, "TransformerSpec": 8}
"""What is read, and its heads where no variable tells."""
REVISIONS = range(2, 8)
OTHERS = ctranslate2_decoder.SPECIFICATION, ctranslate2_encoder.SPECIFICATION
"""Specifications that have readers of their own."""
MAX_LENGTH_FACTOR = 3.0
DOUBT = (
    "its configuration does not tell what stands around a source, and its kind is not known; ask"
    " for it by --source-frame, mostly eos"
)
UNTOLD = "none"


def recognises(path: Path) -> bool:
    """Whether the file is one of CTranslate2's, with any model in it but a stack alone."""
    named = specification(path)
    return named in HEADS or (named.endswith("Spec") and named not in OTHERS)


def companions(path: Path) -> list[Path]:
    """Its configuration, vocabularies and tokenizers."""
    folder = path.parent
    named = [folder / CONFIG, *vocabulary_files(folder).values(), *tokenizer_files(folder)]
    named.append(folder / LIBRARY)
    return [file for file in dict.fromkeys(named) if file.is_file()]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    with located(path):
        return made(path, contents(path))


def made(path: Path, content: Contents) -> FloatModel:
    """The model of the content of a file, with the files beside its `path`; raises likewise."""
    check_specification(content)
    variables = Variables(content.variables)
    config = read_config(path.parent, content.version, variables)
    refuse_quantisation(config.quantization_type)
    refuse_parts(variables, READ if has_relative(variables) else ())
    vocabularies = {
        side: read_vocabulary(file, config.unk_token)
        for side, file in vocabulary_files(path.parent).items()
    }
    words = embeddings(variables, vocabularies)
    relative = relative_positions(variables)
    tables = {} if relative else position_tables(variables, words[1].shape[1])
    shape = shape_of(variables, HEADS[content.specification], words, tables)
    if relative:
        shape = replace(shape, **relative.shape)
    said = languages_of(variables, config, vocabularies)
    how = generation(variables, config, vocabularies, shape, said)
    if prefix := target_prefix(path.parent, vocabularies["target"]):
        how = replace(how, target_prefix=prefix)
    if relative:
        c = relative.composer(shape.d_model, config.layer_norm_epsilon)
    else:
        epsilon = config.layer_norm_epsilon or LAYER_NORM_EPSILON
        c = Composer(finder(variables, tables), shape.d_model, Normed("l2", epsilon))
    program, tensors = c.finish(encoder_decoder.compose(c, shape), unused(variables))
    framed = how.languages is not None and bool(how.languages.sources)
    untold = not framed and not frame_of(variables, config)
    return FloatModel(
        program,
        tensors,
        how,
        tokenizers=tokenizers(path.parent, vocabularies, config),
        provenance={"file": path.name, "format": "CTranslate2", "sha256": content.sha256},
        languages=languages(path.parent),
        frames={} if framed else frames(vocabularies["source"], config),
        doubt=DOUBT if untold else "",
        starts=said.starts,
        wanted=WANTED,
        warnings=alignment(variables),
    )


def check_specification(content: Contents) -> None:
    """Raises CheckpointError for a model of a specification that is not read."""
    if content.specification not in HEADS or content.revision not in REVISIONS:
        raise CheckpointError(
            f"a model of CTranslate2's {content.specification} of revision {content.revision},"
            f" which is not read; supported are {', '.join(HEADS)} of revisions {REVISIONS[0]}"
            f" to {REVISIONS[-1]}, which have an encoder and a decoder,"
            f" {ctranslate2_decoder.SPECIFICATION} of revision {ctranslate2_decoder.REVISION}, and"
            f" {ctranslate2_encoder.SPECIFICATION} of revision {ctranslate2_encoder.REVISION}"
        )


def embeddings(
    variables: Variables, vocabularies: Mapping[str, Mapping[str, int]]
) -> tuple[Stored, Stored]:
    """The tables of source and target; raises CheckpointError unless each has a row a token."""
    found = []
    for side, stack in zip(("source", "target"), STACKS, strict=True):
        if side not in vocabularies:
            raise CheckpointError(f"no vocabulary of the {side} beside it")
        table, size = embedding(variables, stack), len(vocabularies[side])
        if table is None or len(table.shape) != 2 or table.shape[0] != size:
            told = "no" if table is None else list(table.shape)
            raise CheckpointError(f"{told} embeddings for a {side} vocabulary of {size}")
        found.append(table)
    return found[0], found[1]


def shape_of(
    variables: Variables, heads: int, words: tuple[Stored, Stored], tables: Mapping[str, Stored]
) -> encoder_decoder.Shape:
    """The shape of the model; raises CheckpointError if it is one that is not supported."""
    hidden = variables.tensor("encoder/layer_0/ffn/linear_0/weight")
    source, target = (table.shape for table in words)
    return encoder_decoder.Shape(
        d_model=target[1],
        heads=int(variables.shared("num_heads", heads)),
        d_ffn=0 if hidden is None else hidden.shape[0],
        encoder_layers=variables.layers("encoder"),
        decoder_layers=variables.layers("decoder"),
        activation=activation(variables.shared("activation", 0)),
        source_vocabulary=source[0],
        target_vocabulary=target[0],
        embedding_scale=common_scale(variables, target[1]),
        pre_norm=bool(variables.shared("pre_norm", 1)),
        embedding_norm="encoder/layernorm_embedding/gamma" in variables,
        max_positions=tables["positions"].shape[0] if tables else 0,
        target_positions="target_positions" in tables,
    )


def generation(
    variables: Variables,
    config: Config,
    vocabularies: Mapping[str, Mapping[str, int]],
    shape: encoder_decoder.Shape,
    said: Spoken,
) -> Generation:
    """How the model reads and writes."""
    source, target = (special(vocabularies[side], config) for side in ("source", "target"))
    around = None
    if said.languages is None or not said.languages.sources:
        around = frame(vocabularies["source"], config, frame_of(variables, config) or UNTOLD)
    return Generation(
        start=required(said.start),
        eos=target[0],
        unk=target[1],
        source_vocabulary=shape.source_vocabulary,
        target_vocabulary=shape.target_vocabulary,
        max_length_factor=MAX_LENGTH_FACTOR,
        max_positions=shape.max_positions,
        source_frame=around,
        source_special=None if source == target else source,
        languages=said.languages,
    )


def languages_of(
    variables: Variables, config: Config, vocabularies: Mapping[str, Mapping[str, int]]
) -> Spoken:
    """How the sentences of the model tell their languages; raises CheckpointError for a damaged
    configuration."""
    source, target = vocabularies["source"], vocabularies["target"]
    ends = special(source, config)[0], special(target, config)[0]
    return spoken(source, target, ends, start(variables, config, target))


def special(vocabulary: Mapping[str, int], config: Config) -> tuple[int, int]:
    """The ids of the end of a sentence and of what is unknown; raises CheckpointError without."""
    names = [config.eos_token, config.unk_token]
    if config.add_source_bos:
        names.append(config.bos_token or "begin of a sentence")
    require(vocabulary, names)
    return vocabulary[config.eos_token], vocabulary[config.unk_token]


def start(variables: Variables, config: Config, vocabulary: Mapping[str, int]) -> int | None:
    """The token that a decoder begins with, -1 for the zero vector, None where it is chosen for
    each translation; raises CheckpointError for one that the vocabulary lacks."""
    if variables.number("decoder/start_from_zero_embedding", 0):
        return -1
    token = config.decoder_start_token
    if token is not None and token not in vocabulary:
        raise CheckpointError(f"the decoder begins with {token!r}, which is no token")
    return None if token is None else vocabulary[token]


def required(start: int | None) -> int:
    """The token that a decoder begins with; raises CheckpointError where it is to be chosen."""
    if start is None:
        raise CheckpointError(
            "each translation begins with a token that is chosen for it, and the vocabulary has no"
            " tokens of languages; import a model whose configuration has a decoder_start_token"
        )
    return start


def alignment(variables: Variables) -> list[str]:
    """What is to be said of a model that was trained to align in another layer than the last."""
    layer, layers = variables.number("decoder/alignment_layer", -1), variables.layers("decoder")
    if layer in (-1, layers - 1):
        return []
    return [
        f"the model aligns by layer {layer:g} of its decoder (alignment_layer), but alignments here"
        " are those of the last one"
    ]


def common_scale(variables: Variables, width: int) -> float:
    """What embeddings are multiplied by; raises CheckpointError where the stacks differ."""
    scales = [embedding_scale(variables, stack, width) for stack in STACKS]
    if scales[0] != scales[1]:
        raise CheckpointError(f"embeddings are scaled by {scales[0]:g} and by {scales[1]:g}")
    return scales[0]
