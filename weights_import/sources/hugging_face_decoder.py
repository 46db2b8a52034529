"""The common parts of decoders alone of Hugging Face's transformers.

They are the matrices of words, their configuration, and the SentencePiece model `tokenizer.model`
beside the file.  Tokenizers in JSON alone, such as for Llama 3, Qwen2 and GPT-2, are not read.
Such a model takes and writes ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel, Generation
from weights_import.float_program import FloatProgram
from weights_import.processor import processor
from weights_import.sources.hugging_face import check_words, one_matrix
from weights_import.sources.hugging_face_config import (
    Id,
    Ids,
    Marks,
    added_tokens,
    begun,
    beside,
    refuse_added,
    shown,
)
from weights_import.sources.safetensors_file import Size
from weights_import.sources.tokenizers import read_limited
from weights_import.sources.vocabulary import CONTROL, NO_PIECE, padded, pieces_of
from weights_import.tensors import Stored, Tensors

TOKENIZER = "tokenizer.model"
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
        """The columns of the embedding."""
        raise NotImplementedError

    @property
    def positions(self) -> int:
        """The number of positions for which the model was trained."""
        raise NotImplementedError


def companions(path: Path) -> list[Path]:
    """Its configurations and its tokenizer."""
    tokenizer = path.with_name(TOKENIZER)
    return [*beside(path), *([tokenizer] if tokenizer.is_file() else [])]


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
    check_words(found, {"target_embedding": config.vocab_size}, config.width)
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
    text, eos, unk = tokenizers(path.with_name(TOKENIZER), config.vocab_size, marks)
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
        ),
        tokenizers=text,
        provenance={"file": path.name, **told},
        wanted=TOKENIZER,
        warnings=[*marks.warnings, *said, *begun(path.parent)],
    )


def begin(bos: int | None, eos: int) -> tuple[int, list[str]]:
    """The token that a text begins with, and what is to be said of it.

    Models without a mark of the beginning have mostly seen the end of another text before a text.
    """
    if bos is not None:
        return bos, []
    return eos, [f"no bos_token_id: texts begin with token {eos}, which ends texts"]


def tokenizers(path: Path, vocabulary: int, eos: Marks) -> tuple[dict[str, bytes], int, int]:
    """The tokenizer in a file, the token that ends a text, and the token for unknown text.

    The tokenizer has a piece for each embedding.  Without the file, there is none.
    """
    if not path.is_file():
        return {}, eos.chosen(None), UNK
    try:
        content = read_limited(path)
        made = padded(content, vocabulary)
        pieces = pieces_of(content)
        added = added_tokens(path.parent)
        refuse_added(added, pieces)
        if special := [token for token in added if pieces[token].type == CONTROL]:
            eos.warnings.append(f"texts that hold {shown(special)} are cut like any text")
        read = processor(made)
        own = read.eos_id()
        chosen = eos.chosen(own)
        if own not in (NO_PIECE, chosen):
            raise CheckpointError(f"its end mark is token {own}, that of the model {chosen}")
        return {"target": made}, chosen, read.unk_id()
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from None
