"""BART models of Hugging Face's transformers (Lewis et al. 2020): a safetensors, and beside it
`config.json` or `NAME_config.json`.

Source and target stand between bos and eos; positions are learned, a table a side, of which the
first two rows are not used; what is embedded is normed.  Texts need SentencePiece models or a
tokenizer of pairs of bytes beside the file, or a configuration that lists the characters of both
sides, `grapheme_chars` and `phoneme_chars`, in the order of their ids, with `_` for what is none
(as Misaki's models of pronunciation have it).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from int8ref.program.program import SourceFrame
from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel
from weights_import.sources.containers import contents
from weights_import.sources.hugging_face import (
    LAYER,
    POSITIONS,
    Shape,
    composed,
    named,
    one_vocabulary,
)
from weights_import.sources.hugging_face_config import (
    Id,
    Marks,
    added_tokens,
    beside,
    model_type,
    read_config,
    refuse_added,
    unknown_to,
)
from weights_import.sources.hugging_face_model import float_model, generation
from weights_import.sources.hugging_face_tokenizer import files, tokenizer
from weights_import.sources.tokenizers import tokenizer_files, tokenizers_in
from weights_import.sources.vocabulary import of_characters, pieces_of
from weights_import.tensors import Stored

FORMAT = "Hugging Face BART (.safetensors or .bin, and config.json)"
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
        """The first token of every translation.

        The search of transformers forces it, or else it is the first token of the training.
        """
        forced = self.forced_bos_token_id
        return self.bos_token_id if forced is None else forced


def recognises(path: Path) -> bool:
    """Whether the file is a checkpoint of this kind, with its configuration beside it."""
    return model_type(path, LAYER) in KINDS


def companions(path: Path) -> list[Path]:
    """Its configurations and its tokenizers."""
    folder = path.parent
    return list(dict.fromkeys([*beside(path), *tokenizer_files(folder), *files(folder)]))


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    with located(path):
        config = read_config(path, _Config)
        marks = Marks(config.eos_token_id)
        eos = marks.chosen(None)
        how = generation(
            config,
            marks,
            unk=config.unk_token_id,
            source_frame=SourceFrame((config.bos_token_id,), (eos,)),
            target_prefix=(config.first,),
        )
        content = contents(path)
        stored = named(content.tensors)
        words = one_vocabulary(stored, config)
        shape = config.shape(
            embedding_norm=True,
            target_positions=POSITIONS[1] in stored,
        )
        made = composed(stored, shape, words | positions(stored))
        found = tokenizers(path.parent, config, eos)
        return float_model(
            path,
            "Hugging Face BART",
            content.sha256,
            made,
            how,
            tokenizers=found,
            warnings=unknown_to(path, _Config),
        )


def tokenizers(folder: Path, config: _Config, eos: int) -> dict[str, bytes]:
    """The tokenizers of both sides: lists of characters, SentencePiece models, or one tokenizer for
    both; raises CheckpointError."""
    found = characters(config, eos) or tokenizers_in(folder)
    if not found and (both := tokenizer(folder, config.vocab_size)):
        return {"source": both.content, "target": both.content}
    known = {name for model in found.values() for name in pieces_of(model)}
    refuse_added(added_tokens(folder), known)
    return found


def characters(config: _Config, eos: int) -> dict[str, bytes]:
    """The tokenizers of a configuration with lists of characters; none without such lists.

    Raises CheckpointError for lists that do not fit the model.
    """
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


def positions(stored: Mapping[str, Stored]) -> dict[str, Stored | None]:
    """The tables of positions by their canonical names, without their unused rows."""
    names = ("positions", "target_positions")
    return {name: _used(stored.get(at)) for name, at in zip(names, POSITIONS, strict=True)}


def _used(table: Stored | None) -> Stored | None:
    if table is None or not table.shape:
        return None
    rows = max(table.shape[0] - UNUSED_POSITIONS, 0)
    return table.changed((rows, *table.shape[1:]), lambda x: x[UNUSED_POSITIONS:])
