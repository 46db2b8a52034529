"""What models of many languages of Hugging Face's transformers share: mBART, M2M100 and NLLB.

Beside the checkpoint are `config.json`, `sentencepiece.bpe.model`, the list `vocab.json` where the
ids have another order than fairseq's, and the files of the tokenizer that tell its languages.  In
place of the SentencePiece model there may be a `tokenizer.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from weights_import.sources.fairseq_pieces import FAIRSEQ, UNKNOWN, fairseq_ids, with_tokens
from weights_import.sources.hugging_face import Shape
from weights_import.sources.hugging_face_config import (
    Id,
    added_tokens,
    beside,
    refuse_added,
)
from weights_import.sources.hugging_face_languages import language_files, language_ids
from weights_import.sources.hugging_face_tokenizer import TOKENIZER as LIBRARY
from weights_import.sources.hugging_face_tokenizer import library_tokenizer
from weights_import.sources.language_tokens import codes
from weights_import.sources.tokenizers import read_limited, read_vocabulary
from weights_import.sources.vocabulary import NO_PIECE

TOKENIZER, LIST = "sentencepiece.bpe.model", "vocab.json"
WANTED = f"{TOKENIZER} or {LIBRARY}"


class Config(Shape, frozen=True, kw_only=True):
    """What is read of the configuration of every such model.

    transformers ignores the fields about norms, which older configurations have from BART.
    """

    add_final_layer_norm: bool = True  # type: ignore[assignment]
    forced_bos_token_id: Id | None = None
    normalize_before: bool = True  # type: ignore[assignment]


class Vocabulary(NamedTuple):
    """The ids of the tokens of languages by their codes, the id of unknown text, and the
    tokenizers."""

    languages: dict[str, int]
    unk: int
    tokenizers: dict[str, bytes]


def companions(path: Path) -> list[Path]:
    """The configurations and the tokenizer of a checkpoint."""
    named = [path.with_name(name) for name in (TOKENIZER, LIST)]
    there = [file for file in named if file.is_file()]
    return list(dict.fromkeys([*beside(path), *language_files(path.parent), *there]))


def vocabulary_of(folder: Path, size: int) -> Vocabulary:
    """The vocabulary of a model of `size` embeddings; raises CheckpointError for a damaged one."""
    path, listed = folder / TOKENIZER, folder / LIST
    content = read_limited(path) if path.is_file() else None
    if content is None and (found := library_tokenizer(folder, size)):
        unk = FAIRSEQ[UNKNOWN] if found.unk == NO_PIECE else found.unk
        tokenizers = dict.fromkeys(("source", "target"), found.content)
        return Vocabulary(codes(language_ids(folder, size)), unk, tokenizers)
    if listed.is_file():
        ids = read_vocabulary(listed)
    else:
        ids = FAIRSEQ if content is None else fairseq_ids(content)
    tokens = language_ids(folder, len(ids))
    refuse_added(added_tokens(folder), {*ids, *tokens})
    tokenizers = {}
    if content is not None:
        own = {token: number for token, number in ids.items() if token not in tokens}
        made = with_tokens(content, own, tokens, size)
        tokenizers = {"source": made, "target": made}
    return Vocabulary(codes(tokens), ids.get(UNKNOWN, FAIRSEQ[UNKNOWN]), tokenizers)
