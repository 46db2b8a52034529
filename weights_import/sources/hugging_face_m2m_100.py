"""M2M100 and NLLB-200 of Hugging Face's transformers (Fan et al. 2021, NLLB Team 2022).

Norms stand before the sublayers, and one behind each stack.  Positions are sinusoids, the first of
which is number 2.  The token of a language stands before a source, or behind its end mark where the
tokenizer says `legacy_behaviour`.  The decoder reads the end mark, then the token of the target.
SMaLL-100 (Mohammadshahi et al. 2022) has the token of the target before a source, and no other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from int8ref.program.languages import Languages
from weights_import.errors import located
from weights_import.float_model import FloatModel
from weights_import.operations.embedding import sinusoids
from weights_import.sources import hugging_face_many_languages as many
from weights_import.sources.containers import contents
from weights_import.sources.hugging_face import LAYER, composed, named, one_vocabulary
from weights_import.sources.hugging_face_config import Marks, model_type, read_config, unknown_to
from weights_import.sources.hugging_face_languages import (
    CONFIG,
    json_of,
    tokenizer_class,
    with_default,
)
from weights_import.sources.hugging_face_model import float_model, generation
from weights_import.sources.language_tokens import of_both, of_target
from weights_import.tensors import Stored

FORMAT = "Hugging Face M2M100 and NLLB (.safetensors or .bin, and config.json)"
KINDS = ("m2m_100",)
FIRST_POSITION = 2
OF_TARGET_ALONE = "SMALL100Tokenizer"


class _Config(many.Config, frozen=True, kw_only=True):
    """What is read of a configuration of M2M100 or NLLB."""

    model_type: Literal["m2m_100"]
    static_position_embeddings: bool = True


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
    own = one_vocabulary(stored, config)
    table = sinusoids(FIRST_POSITION, config.max_position_embeddings, config.d_model)
    own["positions"] = Stored.of(table, "positions")
    shape = config.shape(pre_norm=True)
    made = composed(stored, shape, own)
    languages = languages_of(path.parent, vocabulary.languages, eos)
    languages = with_default(languages, vocabulary.languages, config.forced_bos_token_id)
    how = generation(config, marks, unk=vocabulary.unk, languages=languages)
    return float_model(
        path,
        "Hugging Face M2M100 or NLLB",
        content.sha256,
        made,
        how,
        tokenizers=vocabulary.tokenizers,
        warnings=unknown_to(path, _Config),
        wanted=many.WANTED,
    )


def languages_of(folder: Path, tokens: dict[str, int], eos: int) -> Languages:
    """The languages, whose tokens stand where the tokenizer puts them."""
    alone = of_target(tokens) if tokenizer_class(folder) == OF_TARGET_ALONE else None
    behind = json_of(folder / CONFIG).get("legacy_behaviour") is True
    return alone or of_both(tokens, tokens, eos, behind)
