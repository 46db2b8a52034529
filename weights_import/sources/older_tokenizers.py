"""Tokenizers of transformers from before tokenizer.json, as the parts of a tokenizer.json.

vocab.json, merges.txt  the byte-level pairs of GPT-2 (Radford et al. 2019), of RoBERTa and BART too
vocab.txt               the pieces of words of BERT (Devlin et al. 2019), one a line
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from weights_import.errors import CheckpointError
from weights_import.sources import added_tokens, json_file
from weights_import.sources.tokenizers import read_limited, read_vocabulary

VOCABULARY, MERGES, WORDS = "vocab.json", "merges.txt", "vocab.txt"
BYTE_SPECIAL = "<|endoftext|>", "<s>", "</s>", "<unk>", "<pad>", "<mask>"
WORD_SPECIAL = "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"
"""Special tokens that no file needs to list."""


def byte_level(folder: Path) -> dict[str, Any]:
    """The parts of a tokenizer of GPT-2's kind.  Raises CheckpointError for damaged files."""
    ids = read_vocabulary(folder / VOCABULARY)
    lines = _lines(folder / MERGES)
    merges = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    space = _configured(folder).get("add_prefix_space") is True
    level = {"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": True}
    return {
        "model": {"type": "BPE", "vocab": ids, "merges": merges},
        "pre_tokenizer": level,
        "decoder": level,
        "added_tokens": _special(ids, BYTE_SPECIAL),
    }


def word_pieces(folder: Path) -> dict[str, Any]:
    """The parts of a tokenizer of BERT's kind.  Raises CheckpointError for damaged files."""
    lines = _lines(folder / WORDS)
    pieces = lines[: -1 if not lines[-1] else None]
    ids = {piece: i for i, piece in enumerate(pieces)}
    told = _configured(folder)
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": told.get("tokenize_chinese_chars", True),
        "strip_accents": told.get("strip_accents"),
        "lowercase": told.get("do_lower_case", True),
    }
    return {
        "model": {"type": "WordPiece", "vocab": ids, "unk_token": "[UNK]"},
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "added_tokens": _special(ids, WORD_SPECIAL),
    }


MAKERS: dict[tuple[str, ...], Callable[[Path], dict[str, Any]]] = {
    (VOCABULARY, MERGES): byte_level,
    (WORDS,): word_pieces,
}
"""What makes the parts of a tokenizer of these files."""


def _special(ids: dict[str, int], usual: Iterable[str]) -> list[dict[str, Any]]:
    """The usual special tokens as far as a vocabulary has them; a mask takes the space before."""
    return [
        {"id": ids[t], "content": t, "lstrip": t == "<mask>", "normalized": False, "special": True}
        for t in usual
        if t in ids
    ]


def _configured(folder: Path) -> dict[str, Any]:
    path = folder / added_tokens.CONFIG
    told = json_file.parse_file(path) if path.is_file() else {}
    return told if isinstance(told, dict) else {}


def _lines(path: Path) -> list[str]:
    try:
        return [line.removesuffix("\r") for line in read_limited(path).decode().split("\n")]
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path.name}: {error}") from None
