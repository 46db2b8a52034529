"""The tokenizers of T5 models: `spiece.model`, which is a SentencePiece model, `tokenizer.json`, or
the bytes of a text.

A model has <extra_id_0>, <extra_id_1>, ... behind the pieces of SentencePiece, in falling order.
They stand for gaps in a text.  ByT5 has no file: token 3 + b is the byte b, and <extra_id_0> and
the next ones follow in rising order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weights_import.errors import CheckpointError
from weights_import.processor import processor
from weights_import.sources import json_file
from weights_import.sources.hugging_face_config import (
    CONFIG,
    Marks,
    added_tokens,
    refuse_added,
)
from weights_import.sources.hugging_face_tokenizer import TOKENIZER as LIBRARY
from weights_import.sources.hugging_face_tokenizer import library_tokenizer
from weights_import.sources.tokenizers import read_limited
from weights_import.sources.vocabulary import (
    NO_PIECE,
    SPACE,
    USER_DEFINED,
    extended,
    of_bytes,
    padded,
    pieces_of,
)

NAMES = "spiece.model", "spm.model", "sentencepiece.model"
SETTINGS = "tokenizer_config.json"
WANTED = " or ".join((*NAMES, LIBRARY))
OF_BYTES = "ByT5Tokenizer"
GAP = re.compile(r"\u2581?<extra_id_\d+>")
GAPS = 100
"""The number of gaps that a tokenizer has, unless its configuration says otherwise."""
SPECIAL = "<pad>", "</s>", "<unk>"
BYTES_OF_TEXT = 256
EOS, UNK = 1, 2


def tokenizer_files(folder: Path) -> list[Path]:
    """The SentencePiece model of a folder, if there is one."""
    return [path for name in NAMES if (path := folder / name).is_file()][:1]


def tokenizer(folder: Path, vocabulary: int, marks: Marks) -> tuple[bytes, int, int]:
    """The tokenizer with an id for each embedding, the token that ends a text, and the token for
    unknown text.

    The tokenizer is empty where there is none.  Raises CheckpointError for a tokenizer of another
    model, and for a damaged one.
    """
    files = tokenizer_files(folder)
    if files:
        try:
            content = with_gaps(read_limited(files[0]), vocabulary, gaps(folder))
        except CheckpointError as error:
            raise CheckpointError(f"{files[0].name}: {error}") from None
    elif library := library_tokenizer(folder, vocabulary):
        unk = UNK if library.unk == NO_PIECE else library.unk
        return library.content, marks.chosen(None), unk
    elif is_of_bytes(folder):
        content = bytes_of_text(vocabulary)
    else:
        return b"", marks.chosen(None), UNK
    refuse_added(added_tokens(folder), [name.lstrip(SPACE) for name in pieces_of(content)])
    read = processor(content)
    own = read.eos_id()
    if (eos := marks.chosen(own)) != own:
        raise CheckpointError(f"the end mark of its tokenizer is token {own}, not {eos}")
    return content, eos, read.unk_id()


def with_gaps(content: bytes, vocabulary: int, count: int) -> bytes:
    """A SentencePiece model with `count` gaps behind its pieces, unless it has gaps itself.

    Each gap takes up the space before it, as the tokenizer of transformers does.
    """
    known = pieces_of(content)
    if not any(map(GAP.fullmatch, known)):
        more = [f"{SPACE}<extra_id_{i}>" for i in reversed(range(count))]
        content = extended(content, more[: max(vocabulary - len(known), 0)], USER_DEFINED)
    return padded(content, vocabulary)


def bytes_of_text(vocabulary: int) -> bytes:
    """The tokenizer of ByT5 as a SentencePiece model; raises CheckpointError for a small model."""
    count = vocabulary - len(SPECIAL) - BYTES_OF_TEXT
    if count < 0:
        raise CheckpointError(f"{vocabulary} embeddings, too few for the bytes of a text")
    return of_bytes(SPECIAL, [f"<extra_id_{i}>" for i in range(count)])


def gaps(folder: Path) -> int:
    """The number of gaps that a configuration of the tokenizer tells."""
    told = _settings(folder, SETTINGS).get("extra_ids", GAPS)
    return told if isinstance(told, int) and 0 <= told <= 1 << 16 else GAPS


def is_of_bytes(folder: Path) -> bool:
    """Whether a configuration says that the tokens are bytes."""
    told = [_settings(folder, name).get("tokenizer_class") for name in (SETTINGS, CONFIG)]
    return OF_BYTES in told


def _settings(folder: Path, name: str) -> Mapping[str, Any]:
    path = folder / name
    told = json_file.parse_file(path) if path.is_file() else {}
    return told if isinstance(told, dict) else {}
