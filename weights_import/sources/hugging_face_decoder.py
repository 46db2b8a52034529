"""The common parts of decoders alone of Hugging Face's transformers.

They are the matrices of words, their configuration, and the tokenizer beside the file.  Without a
tokenizer such a model takes and writes ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel, Generation
from weights_import.float_program import FloatProgram
from weights_import.sources import chat_template, hugging_face_tokenizer
from weights_import.sources.hugging_face import check_words, one_matrix
from weights_import.sources.hugging_face_config import (
    Id,
    Ids,
    Marks,
    begun,
    beside,
)
from weights_import.sources.hugging_face_tokenizer import WANTED, Found
from weights_import.sources.safetensors_file import Size
from weights_import.sources.vocabulary import NO_PIECE
from weights_import.tensors import Stored, Tensors

UNK = 0  # of SentencePiece's models, unless they say otherwise


class Decoder(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of the configuration of every decoder alone."""

    model_type: str
    bos_token_id: Id | None = None
    eos_token_id: Id | Ids
    tie_word_embeddings: bool
    vocab_size: Size

    @property
    def width(self) -> int:
        """The columns of the stream."""
        raise NotImplementedError

    @property
    def embedding_width(self) -> int:
        """The columns of the table of words in the file."""
        return self.width

    @property
    def positions(self) -> int:
        """The number of positions for which the model was trained."""
        raise NotImplementedError


def companions(path: Path) -> list[Path]:
    """Its configurations and its tokenizer."""
    templates = [path.parent / name for name in chat_template.FILES]
    templates = [file for file in templates if file.is_file()]
    return list(
        dict.fromkeys([*beside(path), *hugging_face_tokenizer.files(path.parent), *templates])
    )


def words(
    config: Decoder, stored: Mapping[str, Stored], embedding: str, heads: tuple[str, ...]
) -> dict[str, Stored | None]:
    """The matrices of words by their canonical names; tied matrices are the same object.

    `embedding` is the name of the table in the file, and `heads` are the possible names of the
    head.  Raises CheckpointError for a table of another size, for a file without a head, and for
    two matrices that are tied and differ.
    """
    tied = config.tie_word_embeddings
    head = one_matrix(stored, (embedding, *heads) if tied else heads)
    found = {"target_embedding": stored.get(embedding), "output.weight": head, "output.bias": None}
    check_words(found, {"target_embedding": config.vocab_size}, config.embedding_width)
    if head is None:
        raise CheckpointError(
            f"no {heads[0]}: the file has the body of a model without its head, which writes no"
            " text;"
            " where the head is the embedding, config.json must say tie_word_embeddings: true"
        )
    return found


def size_of_heads(width: int, count: int) -> int:
    """The columns of a head; raises CheckpointError where the heads do not make up the width."""
    if width % count:
        raise CheckpointError(
            f"unsupported architecture: d_model={width} is not divisible by heads={count}"
        )
    return width // count


def decoder_model(
    path: Path, told: dict[str, str], config: Decoder, made: tuple[FloatProgram, Tensors]
) -> FloatModel:
    """The model of a checkpoint, for its program and its tensors.

    `told` is what else is known of its origin.  Raises CheckpointError for a tokenizer, or for
    tokens, of another model.
    """
    marks = Marks(config.eos_token_id)
    found = hugging_face_tokenizer.tokenizer(path.parent, config.vocab_size)
    eos, unk = special_tokens(marks, found)
    start, said = begin(config.bos_token_id, eos)
    program, tensors = made
    return FloatModel(
        program,
        tensors,
        Generation(
            start=start,
            eos=eos,
            unk=unk,
            target_vocabulary=config.vocab_size,
            max_positions=config.positions,
            more_eos=marks.others(eos),
        ),
        tokenizers={"target": found.content} if found else {},
        chat=chat_template.chat_template(path.parent),
        provenance={"file": path.name, **told},
        wanted=WANTED,
        warnings=[*(found.warnings if found else ()), *said, *begun(path.parent)],
    )


def begin(bos: int | None, eos: int) -> tuple[int, list[str]]:
    """The token that a text begins with, and what is to be said of it.

    Models without a mark of the beginning have mostly seen the end of another text before a text.
    """
    if bos is not None:
        return bos, []
    return eos, [f"no bos_token_id: texts begin with token {eos}, which ends texts"]


def special_tokens(marks: Marks, found: Found | None) -> tuple[int, int]:
    """The token that ends a text, and the token for unknown text, which a tokenizer of bytes lacks.

    Raises CheckpointError for a tokenizer with another end mark.
    """
    if found is None:
        return marks.chosen(None), UNK
    eos = marks.chosen(found.eos)
    if found.eos not in (NO_PIECE, eos):
        raise CheckpointError(f"its end mark is token {found.eos}, that of the model {eos}")
    return eos, eos if found.unk == NO_PIECE else found.unk
