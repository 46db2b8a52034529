"""mBART-50 and mBART-cc25 of Hugging Face's transformers (Tang et al. 2021, Liu et al. 2020).

It is BART with norms before its sublayers and a last norm of each stack.  mBART-50: the token of a
language stands before a source, and the decoder reads the end mark, then the token of the target.
mBART-cc25: the token stands behind the end mark of a source, and the decoder begins with the token
of the target.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from int8ref.program.languages import Languages, TargetLanguage
from weights_import.errors import located
from weights_import.float_model import FloatModel
from weights_import.sources import hugging_face_many_languages as many
from weights_import.sources.containers import contents
from weights_import.sources.hugging_face import (
    LAYER,
    POSITIONS,
    composed,
    named,
    one_vocabulary,
)
from weights_import.sources.hugging_face_bart import positions
from weights_import.sources.hugging_face_config import (
    Id,
    Marks,
    model_type,
    read_config,
    unknown_to,
)
from weights_import.sources.hugging_face_languages import tokenizer_class, with_default
from weights_import.sources.hugging_face_model import float_model, generation
from weights_import.sources.language_tokens import is_older_mbart, of_both, of_older_mbart

FORMAT = "Hugging Face mBART (.safetensors or .bin, and config.json)"
KINDS = ("mbart",)
CLASSES = {"MBart50Tokenizer": False, "MBartTokenizer": True}
"""Whether a tokenizer is that of mBART-cc25."""


class _Config(many.Config, frozen=True, kw_only=True):
    """What is read of a configuration of mBART."""

    model_type: Literal["mbart"]
    decoder_start_token_id: Id | None = None  # type: ignore[assignment]
    static_position_embeddings: Literal[False] = False
    tokenizer_class: str | None = None


companions = many.companions


def recognises(path: Path) -> bool:
    """Whether the file is a checkpoint of this kind, with its configuration beside it."""
    return model_type(path, LAYER) in KINDS


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    with located(path):
        return _read(path)


def _read(path: Path) -> FloatModel:
    config = read_config(path, _Config)
    marks = Marks(config.eos_token_id)
    eos = marks.chosen(None)
    vocabulary = many.vocabulary_of(path.parent, config.vocab_size)
    content = contents(path)
    stored = named(content.tensors)
    words = one_vocabulary(stored, config)
    shape = config.shape(
        pre_norm=True,
        embedding_norm=True,
        target_positions=POSITIONS[1] in stored,
    )
    made = composed(stored, shape, words | positions(stored))
    tokens = vocabulary.languages
    older = is_older(path.parent, config, eos, tokens)
    languages = of_older_mbart(tokens, eos) if older else of_both(tokens, tokens, eos)
    told = [code for code, token in tokens.items() if token == config.decoder_start_token_id]
    if older and told:
        languages = spoken(languages, told[0])
    if not older:
        languages = with_default(languages, tokens, config.forced_bos_token_id)
    how = generation(
        config,
        marks,
        start=tokens[told[0]] if older and told else eos,
        unk=vocabulary.unk,
        languages=languages,
    )
    return float_model(
        path,
        "Hugging Face mBART",
        content.sha256,
        made,
        how,
        tokenizers=vocabulary.tokenizers,
        starts=tokens if older and not told else {},
        warnings=unknown_to(path, _Config),
        wanted=many.WANTED,
    )


def is_older(folder: Path, config: _Config, eos: int, tokens: dict[str, int]) -> bool:
    """Whether the model is mBART-cc25, by its tokenizer, its decoder or its languages."""
    for name in (tokenizer_class(folder), str(config.tokenizer_class).removesuffix("Fast")):
        if name in CLASSES:
            return CLASSES[name]
    return config.decoder_start_token_id != eos and is_older_mbart(tokens)


def spoken(languages: Languages, code: str) -> Languages:
    """The languages of a model whose decoder begins with the token of this language."""
    only = {code: TargetLanguage()}
    return msgspec.structs.replace(languages, targets=only, target=code)
