"""The vocabularies and the tokenizers beside the checkpoints of training frameworks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from weights_import.errors import CheckpointError
from weights_import.sources.numbered_tokenizer import SPECIAL, Beside, numbered_tokenizer
from weights_import.sources.subword import subword_tokenizer
from weights_import.sources.tokenizers import by_side, read_limited

MODELS = "*.spm", "*.model"
"""The names of SentencePiece models."""
CODES = "bpecodes", "bpe.model", "bpe.codes", "code", "codes", "codes.*", "*.codes"
"""The names of codes of subword-nmt and fastBPE."""
CONTINUING, SPACE = "@@", "\N{LOWER ONE EIGHTH BLOCK}"
"""What pieces of subword-nmt end with within a word, and what those of SentencePiece begin with."""
WORDS = (
    "texts are cut at spaces into whole words, because no SentencePiece model and no codes lie"
    " beside the vocabularies"
)
ASSUMED = "texts are cut by {} as they are, thus they must be tokenised as those of the training"


def numbered(pieces: Iterable[str], name: str) -> dict[str, int]:
    """Ids by piece, in their order; raises CheckpointError for a piece that stands twice."""
    listed = list(pieces)
    found = {piece: number for number, piece in enumerate(listed)}
    if len(found) < len(listed):
        raise CheckpointError(f"{name}: a piece twice")
    return found


def lines(path: Path) -> list[str]:
    """The lines of a text; raises CheckpointError for what is no text."""
    try:
        text = read_limited(path).decode()
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path.name}: {error}") from None
    return text.removesuffix("\n").split("\n")


def models_in(folder: Path) -> list[Path]:
    """The SentencePiece models in a folder."""
    codes = codes_in(folder)
    return [path for path in _named(folder, MODELS) if path not in codes]


def tokenizer_files(folder: Path) -> list[Path]:
    """The files that `tokenizers` may read."""
    return [*models_in(folder), *codes_in(folder)]


def codes_in(folder: Path) -> list[Path]:
    """The codes of subword-nmt or fastBPE in a folder."""
    return _named(folder, CODES)


def _named(folder: Path, patterns: Iterable[str]) -> list[Path]:
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    return sorted(path for path in found if path.is_file())


def tokenizers(
    folder: Path, vocabularies: Mapping[str, Mapping[str, int]], eos: str, unk: str
) -> tuple[dict[str, bytes], list[str]]:
    """The tokenizer of each side with the ids of its vocabulary, as far as there are any, and what
    is to be said of them.

    Raises CheckpointError for damaged ones.
    """
    models, codes = by_side(models_in(folder)), by_side(codes_in(folder))
    found: dict[str, bytes] = {}
    said: list[str] = []
    for side, vocabulary in vocabularies.items():
        beside = Beside(models.get(side), codes.get(side))
        try:
            content = numbered_tokenizer(vocabulary, eos, unk, beside)
            if content is None and is_of_words(vocabulary):
                content = subword_tokenizer(None, vocabulary, unk=unk, special=SPECIAL)
                said.append(WORDS)
            elif beside.codes is not None and beside.model is None:
                said.append(ASSUMED.format(beside.codes.name))
            if content is not None:
                found[side] = content
        except CheckpointError as error:
            raise CheckpointError(f"{side} tokenizer: {error}") from None
    return found, list(dict.fromkeys(said))


def is_of_words(vocabulary: Iterable[str]) -> bool:
    """Whether no piece is marked as a part of a word."""
    return not any(piece.endswith(CONTINUING) or SPACE in piece for piece in vocabulary)
