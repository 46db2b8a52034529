"""BART models of Hugging Face's transformers (Lewis et al. 2020): a safetensors, and beside it
`config.json` or `NAME_config.json`.

Source and target stand between bos and eos; positions are learned, a table a side, of which the
first two rows are not used; what is embedded is normed.  Texts need SentencePiece models beside the
file, or a configuration that lists the characters of both sides, `grapheme_chars` and
`phoneme_chars`, in the order of their ids, with `_` for what is none (as Misaki's models of
pronunciation have it).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from int8ref.program.program import SourceFrame
from weights_import.float_model import Architecture, CheckpointError, FloatModel
from weights_import.sources.hugging_face import (
    LAYER,
    LOGITS_BIAS,
    POSITIONS,
    TOLD,
    Shape,
    canonical,
    check_words,
    embeddings,
    named,
    stored_names,
)
from weights_import.sources.hugging_face_config import (
    Id,
    Marks,
    added_tokens,
    beside,
    model_type,
    read_config,
    refuse_added,
)
from weights_import.sources.safetensors_file import Tensors, contents
from weights_import.sources.tokenizers import tokenizer_files, tokenizers_in
from weights_import.sources.vocabulary import of_characters, pieces_of

FORMAT = "Hugging Face BART (.safetensors and config.json)"
KINDS = ("bart",)
UNUSED_POSITIONS = 2
PAD, BOS, EOS, UNK = "<pad>", "<s>", "</s>", "<unk>"
NO_CHARACTER = "_"


class _Config(Shape, frozen=True, kw_only=True):
    """What is read of a configuration of BART."""

    model_type: Literal["bart"]
    bos_token_id: Id
    forced_bos_token_id: Id | None = None
    grapheme_chars: str | None = None
    normalize_embedding: Literal[True] = True
    phoneme_chars: str | None = None
    static_position_embeddings: Literal[False] = False
    unk_token_id: Id = 3

    @property
    def first(self) -> int:
        """The token that every translation begins with: the one that the search of transformers
        forces, or that of training."""
        forced = self.forced_bos_token_id
        return self.bos_token_id if forced is None else forced


def recognises(path: Path) -> bool:
    """Whether the file is a safetensors of this kind, with its configuration beside it."""
    return model_type(path, LAYER) in KINDS


def companions(path: Path) -> list[Path]:
    """Its configurations and its tokenizers."""
    return [*beside(path), *tokenizer_files(path.parent)]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    try:
        config = read_config(path, _Config)
        marks = Marks(config.eos_token_id)
        eos = marks.chosen(None)
        shape = config.architecture(
            config.decoder_start_token_id,
            eos,
            config.unk_token_id,
            (config.vocab_size, config.vocab_size),
            source_frame=SourceFrame((config.bos_token_id,), (eos,)),
            embedding_norm=True,
            target_prefix=(config.first,),
        )
        content = contents(path)
        tensors = _canonical(shape, config.tie_word_embeddings, named(content.tensors))
        size = dict.fromkeys(("source_embedding", "target_embedding"), config.vocab_size)
        check_words(tensors, size, config.d_model)
        found = characters(config, eos) or tokenizers_in(path.parent)
        known = {name for model in found.values() for name in pieces_of(model)}
        refuse_added(added_tokens(path.parent), known)
        model = FloatModel(
            shape,
            tensors,
            tokenizers=found,
            provenance={
                "file": path.name,
                "format": "Hugging Face BART",
                "sha256": content.sha256,
            },
            warnings=marks.warnings,
        )
        model.validate()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return model


def characters(config: _Config, eos: int) -> dict[str, bytes]:
    """The tokenizers of a configuration that lists characters, none where it does not; raises
    CheckpointError for lists that fit the model not."""
    named = {config.pad_token_id: PAD, config.bos_token_id: BOS, eos: EOS}
    named |= {config.unk_token_id: UNK}
    found = {}
    for side, listed in (("source", config.grapheme_chars), ("target", config.phoneme_chars)):
        if listed is None:
            continue
        blanks = [i for i, c in enumerate(listed) if c == NO_CHARACTER]
        if len(listed) > config.vocab_size or not set(named) <= set(blanks) or len(named) < 4:
            raise CheckpointError(f"characters of the {side}: not those of this vocabulary")
        unused = [*blanks, *range(len(listed), config.vocab_size)]
        names = {i: f"<unused{i}>" for i in unused} | named
        pieces = {names.get(i, listed[i : i + 1]): i for i in range(config.vocab_size)}
        content = of_characters(pieces)
        if content is not None:
            found[side] = content
    return found


def _canonical(architecture: Architecture, tied: bool, stored: Tensors) -> Tensors:
    """The tensors under their canonical names."""
    tensors = embeddings(stored, tied)
    for name, table in zip(("positions", "target_positions"), POSITIONS, strict=True):
        if table in stored and stored[table].ndim:
            tensors[name] = np.ascontiguousarray(stored[table][UNUSED_POSITIONS:])
    if LOGITS_BIAS in stored:
        tensors["output.bias"] = stored[LOGITS_BIAS].ravel()
    return tensors | canonical(stored, stored_names(architecture), TOLD)
