"""Encoders alone as CTranslate2 keeps them: `model.bin`, and beside it `config.json`,
`vocabulary.json` and, for texts, `tokenizer.json`.

They are BERT, RoBERTa, XLM-RoBERTa, CamemBERT and DistilBERT.  The file has no head that labels
texts.  Its pooler is passed over, because an embedding is the mean of the rows or one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from int8ref.program.program import SourceFrame
from weights_import.composer import Composer, Normed
from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel, Generation
from weights_import.sources import encoder_only, sentence_transformers
from weights_import.sources.ctranslate2_decoder import read_vocabulary, vocabulary_files
from weights_import.sources.ctranslate2_file import (
    Contents,
    contents,
    require_revision,
    specification,
)
from weights_import.sources.ctranslate2_numbers import (
    LAYER_NORM_EPSILON,
    activation,
    embedding_scale,
)
from weights_import.sources.ctranslate2_parts import refuse_parts, unused
from weights_import.sources.ctranslate2_tensors import embedding, finder
from weights_import.sources.ctranslate2_text import (
    CONFIG,
    LIBRARY,
    configuration,
    library_tokenizer,
    refuse_quantisation,
)
from weights_import.sources.ctranslate2_variables import Variables
from weights_import.sources.hugging_face_decoder import size_of_heads
from weights_import.sources.hugging_face_encoder_text import frame_of
from weights_import.sources.sentence_transformers import Modules
from weights_import.tensors import Float32, Stored

FORMAT = "CTranslate2 encoder alone, embeddings (model.bin)"
SPECIFICATION, REVISION = "TransformerEncoderSpec", 1
TYPES, MERGE, ADDED = "encoder/embeddings_1/weight", "encoder/embeddings_merge", 1
"""The types of tokens, and the number that says that their rows are added to the words."""
POOLER = "pooler_dense/weight", "pooler_dense/bias"
POSITIONS = "encoder/position_encodings/encodings"
HEADS = 8
"""Where no variable tells."""
MARKS = ("[CLS]", "[SEP]"), ("<s>", "</s>")
"""The first and the last token of a text, without a tokenizer."""
NO_MARKS = "the vocabulary has no marks around a text, such as [CLS] and [SEP]"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of config.json; other keys do not change what the model computes."""

    unk_token: str = "<unk>"
    layer_norm_epsilon: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    quantization_type: int | None = None


def recognises(path: Path) -> bool:
    """Whether the file is one of CTranslate2's with an encoder alone."""
    return specification(path) == SPECIFICATION


def companions(path: Path) -> list[Path]:
    """Its configuration, vocabulary and tokenizer, and what sentence-transformers tells."""
    named = [path.with_name(CONFIG), *vocabulary_files(path.parent), path.with_name(LIBRARY)]
    there = [file for file in named if file.is_file()]
    return list(dict.fromkeys([*there, *sentence_transformers.files(path)]))


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    with located(path):
        return _read(path, contents(path))


def _read(path: Path, content: Contents) -> FloatModel:
    require_revision(content, REVISION)
    config = configuration(path.parent, Config)
    refuse_quantisation(config.quantization_type)
    vocabulary, variables = read_vocabulary(path.parent), Variables(content.variables)
    refuse_parts(variables, ("embeddings_1",))
    table, modules = positions(variables), sentence_transformers.modules(path)
    shape = shape_of(variables, len(vocabulary), table, modules)
    tokenizer = library_tokenizer(path.parent, vocabulary)
    frame = frame_of(path.parent, tokenizer) if tokenizer else marks(vocabulary)
    epsilon = config.layer_norm_epsilon or LAYER_NORM_EPSILON
    find = finder(variables, {"positions": table})
    c = Composer(
        lambda name: modules.tensors[name] if name in modules.tensors else find(name),
        shape.d_model,
        Normed("l2", epsilon),
    )
    logits, output = encoder_only.compose(c, shape)
    for name in (*POOLER, "pooler_activation"):
        pass_over(variables, name)
    program, tensors = c.finish(logits, unused(variables), output)
    end = frame.after[-1] if frame.after else 0
    return FloatModel(
        program,
        tensors,
        Generation(
            start=-1,
            eos=end,
            unk=vocabulary.get(config.unk_token, end),
            target_vocabulary=len(vocabulary),
            source_vocabulary=len(vocabulary),
            max_positions=min(table.shape[0], modules.positions or table.shape[0]),
            source_frame=frame,
        ),
        tokenizers={"source": tokenizer} if tokenizer else {},
        provenance={"file": path.name, "format": "CTranslate2", "sha256": content.sha256},
        wanted=LIBRARY,
        warnings=list(modules.warnings),
    )


def positions(variables: Variables) -> Stored:
    """The rows of the positions, to which the row of the first type of tokens is added.

    A text has tokens of the first type alone.  Raises CheckpointError without positions.
    """
    table, types = variables.tensor(POSITIONS), variables.tensor(TYPES)
    if table is None or len(table.shape) != 2:
        raise CheckpointError(f"missing {POSITIONS}")
    merge = variables.number(MERGE, 0)
    if types is None:
        return table
    if merge != ADDED or types.shape[1:] != table.shape[1:] or not types.shape[0]:
        raise CheckpointError(f"{TYPES} {list(types.shape)} are merged by {merge:g}, not added")

    def added() -> Float32:
        both: Float32 = table.read() + types.read()[0]
        return both

    return Stored(table.name, table.shape, added)


def shape_of(
    variables: Variables, vocabulary: int, table: Stored, modules: Modules
) -> encoder_only.Shape:
    """The sizes of a model; raises CheckpointError for one that is not read."""
    words, hidden = embedding(variables, "encoder"), "encoder/layer_0/ffn/linear_0/weight"
    if words is None or words.shape[:1] != (vocabulary,) or len(words.shape) != 2:
        told = "no" if words is None else list(words.shape)
        raise CheckpointError(f"{told} embeddings for a vocabulary of {vocabulary}")
    width, inner = words.shape[1], variables.tensor(hidden)
    if variables.number("encoder/pre_norm", 1) or not variables.layers("encoder"):
        raise CheckpointError("an encoder with norms before its sublayers is not read")
    if embedding_scale(variables, "encoder", width) != 1:
        raise CheckpointError("an encoder whose embeddings are scaled is not read")
    heads = variables.whole("encoder/num_heads", HEADS)
    size_of_heads(width, heads)
    return encoder_only.Shape(
        d_model=width,
        d_ffn=0 if inner is None else inner.shape[0],
        layers=variables.layers("encoder"),
        heads=heads,
        vocabulary=vocabulary,
        positions=table.shape[0],
        activation=activation(variables.number("encoder/activation", 0)),
        embedding_width=width,
        pooling=modules.pooling,
        dense=modules.dense,
    )


def marks(vocabulary: Mapping[str, int]) -> SourceFrame:
    """The marks around a text by a vocabulary; raises CheckpointError without such tokens."""
    for first, last in MARKS:
        if first in vocabulary and last in vocabulary:
            return SourceFrame((vocabulary[first],), (vocabulary[last],))
    raise CheckpointError(NO_MARKS)


def pass_over(variables: Variables, name: str) -> None:
    """Takes a variable that changes no embedding."""
    if variables.is_number(name):
        variables.number(name, 0)
    else:
        variables.tensor(name)
