"""The common parts of decoders alone of Hugging Face's transformers.

They are one safetensors, the matrices of words, and the SentencePiece model `tokenizer.model`
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
from weights_import.sources.hugging_face import HEAD, check_words, one_matrix
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
from weights_import.sources.vocabulary import CONTROL, UNKNOWN, padded, pieces_of
from weights_import.tensors import Stored, Tensors

TOKENIZER, EOS = "tokenizer.model", "</s>"
UNK = 0  # of SentencePiece's models, unless they say otherwise


class Decoder(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of the configuration of every decoder alone."""

    bos_token_id: Id
    eos_token_id: Id | Ids
    tie_word_embeddings: bool
    vocab_size: Size

    @property
    def title(self) -> str:
        """The name of the kind of model."""
        raise NotImplementedError

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
    config: Decoder, stored: Mapping[str, Stored], embedding: str
) -> dict[str, Stored | None]:
    """The matrices of words by their canonical names; tied matrices are the same object.

    `embedding` is the name of the table in the file.  Raises CheckpointError for a table of another
    size, for a file without a head, and for two matrices that are tied and differ.
    """
    tied = config.tie_word_embeddings
    head = one_matrix(stored, (embedding, HEAD)) if tied else stored.get(HEAD)
    found = {"target_embedding": stored.get(embedding), "output.weight": head, "output.bias": None}
    check_words(found, {"target_embedding": config.vocab_size}, config.width)
    if head is None:
        raise CheckpointError(
            f"no {HEAD}: the file has the body of a model without its head, which writes no text;"
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
    path: Path, sha256: str, config: Decoder, made: tuple[FloatProgram, Tensors]
) -> FloatModel:
    """The model of a checkpoint, for its program and its tensors.

    Raises CheckpointError for a tokenizer, or for tokens, of another model.
    """
    marks = Marks(config.eos_token_id)
    text, eos, unk = tokenizers(path.with_name(TOKENIZER), config.vocab_size, marks)
    program, tensors = made
    return FloatModel(
        program,
        tensors,
        Generation(
            start=config.bos_token_id,
            eos=eos,
            unk=unk,
            target_vocabulary=config.vocab_size,
            max_positions=config.positions,
        ),
        tokenizers=text,
        provenance={
            "file": path.name,
            "format": f"Hugging Face {config.title}",
            "sha256": sha256,
        },
        wanted=TOKENIZER,
        warnings=[*marks.warnings, *begun(path.parent)],
    )


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
        names = list(pieces)
        unk = next((i for i, name in enumerate(names) if pieces[name].type == UNKNOWN), UNK)
        own = names.index(EOS) if EOS in pieces else None
        chosen = eos.chosen(own)
        if own is not None and chosen != own:
            raise CheckpointError(f"its end mark is token {own}, that of the model {chosen}")
        return {"target": made}, chosen, unk
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from None
