"""Decoders alone as CTranslate2 keeps them: `model.bin`, and beside it `config.json`,
`vocabulary.json` and, for texts, the SentencePiece model `tokenizer.model`.

They are GPT-2, GPT-J, CodeGen, GPT-NeoX, OPT, BLOOM, Falcon, Llama, Mistral, Qwen2, Gemma and
StarCoder, and language models of OpenNMT and fairseq.  The variables tell the norms, the positions,
the heads and the hidden layers of a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from weights_import.composer import Composer, Normed
from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel, Generation
from weights_import.sources.ctranslate2_decoder_shape import Shape, compose, finder, shape_of
from weights_import.sources.ctranslate2_file import (
    Contents,
    contents,
    require_revision,
    specification,
)
from weights_import.sources.ctranslate2_numbers import LAYER_NORM_EPSILON, RMS_NORM_EPSILON
from weights_import.sources.ctranslate2_parts import refuse_parts, unused
from weights_import.sources.ctranslate2_rotary import lacking
from weights_import.sources.ctranslate2_text import (
    CONFIG,
    ENDINGS,
    LIBRARY,
    configuration,
    decoder_tokenizer,
    read_pieces,
    refuse_quantisation,
)
from weights_import.sources.ctranslate2_variables import Variables
from weights_import.sources.vocabulary import require

FORMAT = "CTranslate2 decoder alone (model.bin)"
SPECIFICATION, REVISION = "TransformerDecoderSpec", 8
TOKENIZER = "tokenizer.model"
UNK = 0
"""The token for unknown text where the vocabulary has none, because then no text needs it."""
READ = (
    "alibi",
    "head_dim",
    "input_layer_norm",
    "layer_norm_use_residual",
    "linear_0_noact",
    "num_heads_kv",
    "project_in",
    "rotary_dim",
    "shared_layer_norm",
    "sliding_window",
)
"""Parts of a model that are read; see `ctranslate2_parts`."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of config.json; other keys do not change what the model computes."""

    unk_token: str = "<unk>"
    bos_token: str = "<s>"
    eos_token: str = "</s>"
    layer_norm_epsilon: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    quantization_type: int | None = None


def recognises(path: Path) -> bool:
    """Whether the file is one of CTranslate2's with a decoder alone."""
    return specification(path) == SPECIFICATION


def companions(path: Path) -> list[Path]:
    """Its configuration, vocabulary and tokenizer."""
    texts = [path.with_name(TOKENIZER), path.with_name(LIBRARY)]
    named = [path.with_name(CONFIG), *vocabulary_files(path.parent), *texts]
    return [file for file in named if file.is_file()]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    with located(path):
        return _read(path, contents(path))


def _read(path: Path, content: Contents) -> FloatModel:
    require_revision(content, REVISION)
    config = configuration(path.parent, Config)
    refuse_quantisation(config.quantization_type)
    vocabulary = read_vocabulary(path.parent)
    variables = Variables(content.variables)
    refuse_parts(variables, READ)
    shape = shape_of(variables, len(vocabulary))
    how = generation(shape, config, vocabulary)
    names = config.eos_token, config.unk_token
    tokenizers, warnings = decoder_tokenizer(path.with_name(TOKENIZER), vocabulary, *names)
    c = Composer(finder(variables, shape), shape.width, normed(shape, config), biases=False)
    program, tensors = c.finish(compose(c, shape), unused(variables))
    return FloatModel(
        program,
        tensors,
        how,
        tokenizers=tokenizers,
        provenance={"file": path.name, "format": "CTranslate2", "sha256": content.sha256},
        wanted=f"{TOKENIZER} or {LIBRARY}",
        warnings=[*warnings, *lacking(variables)],
    )


def normed(shape: Shape, config: Config) -> Normed:
    """The norms of a model."""
    usual = RMS_NORM_EPSILON if shape.rms else LAYER_NORM_EPSILON
    epsilon = config.layer_norm_epsilon or usual
    return Normed("rms" if shape.rms else "l2", epsilon, bias=not shape.rms)


def vocabulary_files(folder: Path) -> list[Path]:
    """The vocabulary, if there is one."""
    named = [folder / f"vocabulary{ending}" for ending in ENDINGS]
    return [path for path in named if path.is_file()][:1]


def read_vocabulary(folder: Path) -> dict[str, int]:
    """Ids by piece; raises CheckpointError without a vocabulary, or for a damaged one."""
    for path in vocabulary_files(folder):
        return read_pieces(path)
    raise CheckpointError("no vocabulary.json beside it")


def generation(shape: Shape, config: Config, vocabulary: Mapping[str, int]) -> Generation:
    """How the model writes; raises CheckpointError where the vocabulary lacks the tokens of the
    configuration."""
    require(vocabulary, [config.eos_token, config.bos_token])
    return Generation(
        start=-1 if shape.from_zero else vocabulary[config.bos_token],
        eos=vocabulary[config.eos_token],
        unk=vocabulary.get(config.unk_token, UNK),
        target_vocabulary=len(vocabulary),
        max_positions=shape.max_positions,
    )
