"""The tokenizer in the metadata of a GGUF file, as the file that lies beside other checkpoints.

tokenizer.ggml.model  llama: pieces with scores and types, as SentencePiece has them
                      gpt2: pieces of bytes, and the pairs that are joined, in their order
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from int8ref.files.chat_template import ChatTemplate
from weights_import.errors import CheckpointError
from weights_import.sources.chat_template import checked
from weights_import.sources.vocabulary import Piece, scored

KEY = "tokenizer.ggml"
TOKENS, SCORES, TYPES, MERGES = (
    f"{KEY}.{name}" for name in ("tokens", "scores", "token_type", "merges")
)
SPLITTER = f"{KEY}.pre"
TEMPLATE = "tokenizer.chat_template"
UNKNOWN, CONTROL, USER_DEFINED = 2, 3, 4
"""Types of tokens, which are those of SentencePiece."""
WORDS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CONTRACTED = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3, QWEN2 = CONTRACTED + r"\p{N}{1,3}" + REST, CONTRACTED + r"\p{N}" + REST
"""How Llama 3 and Qwen2 cut a text into words, by their own tokenizer files."""


def _byte_level(use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
            "use_regex": use_regex}  # fmt: skip


def _split(pattern: str) -> dict[str, Any]:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated",
             "invert": False}  # fmt: skip
    return {"type": "Sequence", "pretokenizers": [split, _byte_level(False)]}


DIGITS = {
    "type": "Sequence",
    "pretokenizers": [{"type": "Digits", "individual_digits": True}, _byte_level(True)],
}
SPLITTERS = {
    **dict.fromkeys(("default", "gpt-2", "gpt2", "jais", "mpt", "olmo", "phi-2", "roberta-bpe"),
                    _byte_level(True)),
    **dict.fromkeys(("codeshell", "command-r", "exaone", "minerva-7b", "refact", "smollm",
                     "starcoder"), DIGITS),
    **dict.fromkeys(("falcon3", "llama-bpe", "llama-v3", "llama3"), _split(LLAMA3)),
    **dict.fromkeys(("deepseek-r1-qwen", "qwen2", "stablelm2"), _split(QWEN2)),
}  # fmt: skip
"""How a text is cut into words before its bytes are joined, by `tokenizer.ggml.pre`."""
WHOLE_WORDS = "falcon3", "llama-bpe", "llama-v3", "llama3"
"""A word that is a piece is not joined from its bytes."""
COMPOSED = "deepseek-r1-qwen", "qwen2"
"""A text is normalised to NFC first."""


def write_tokenizer(
    metadata: Mapping[str, Any], config: Mapping[str, Any], folder: Path
) -> list[str]:
    """Write the tokenizer of a file into a folder, if it has one that is read; what is to be said
    of it.

    Raises CheckpointError for a damaged one.
    """
    kind = metadata.get(f"{KEY}.model")
    if kind in (None, "none", "no_vocab"):
        return []
    if kind not in ("llama", "gpt2"):
        return [f"its tokenizer of the kind {kind!r:.40} is not read"]
    tokens = _texts(metadata, TOKENS)
    if len(set(tokens)) < len(tokens):
        raise CheckpointError(f"{TOKENS}: a token stands twice")
    if kind == "llama":
        (folder / "tokenizer.model").write_bytes(_sentencepiece(metadata, tokens))
        return []
    return _write_byte_pairs(metadata, tokens, folder)


def template_of(metadata: Mapping[str, Any]) -> ChatTemplate | None:
    """The chat template of a file; None without one.  Raises CheckpointError for a damaged one."""
    template, tokens = metadata.get(TEMPLATE), metadata.get(TOKENS)
    if not isinstance(template, str) or not template or not isinstance(tokens, list):
        return None
    return checked(template, _token(metadata, tokens, "bos"), _token(metadata, tokens, "eos"))


def _texts(metadata: Mapping[str, Any], key: str) -> list[str]:
    found = metadata.get(key)
    if not isinstance(found, list) or not found:
        raise CheckpointError(f"{key} is no list of texts")
    return found


def _numbers(metadata: Mapping[str, Any], key: str, count: int, usual: int) -> list[Any]:
    """The numbers of each token, or the usual one for each."""
    found = metadata.get(key)
    if found is None:
        return [usual] * count
    if not isinstance(found, np.ndarray) or len(found) != count:
        raise CheckpointError(f"{key} is no list of {count} numbers")
    listed: list[Any] = found.tolist()
    return listed


def _sentencepiece(metadata: Mapping[str, Any], tokens: list[str]) -> bytes:
    """A model of SentencePiece for tokens with scores and types."""
    scores = _numbers(metadata, SCORES, len(tokens), 0)
    types = _numbers(metadata, TYPES, len(tokens), 1)
    pieces = {
        token: Piece(float(score), int(type))
        for token, score, type in zip(tokens, scores, types, strict=True)
    }
    names = {name: _token(metadata, tokens, name) for name in ("bos", "eos", "unknown")}
    unknown = [token for token, piece in pieces.items() if piece.type == UNKNOWN]
    unk = names["unknown"] or (unknown or ["<unk>"])[0]
    spaced = metadata.get(f"{KEY}.add_space_prefix", True) is True
    return scored(pieces, (unk, names["bos"], names["eos"]), spaced)


def _token(metadata: Mapping[str, Any], tokens: list[str], name: str) -> str:
    """The token of a mark; empty without one; raises CheckpointError for an id of no token."""
    number = metadata.get(f"{KEY}.{name}_token_id")
    if number is None:
        return ""
    if not isinstance(number, int) or not 0 <= number < len(tokens):
        raise CheckpointError(f"{KEY}.{name}_token_id: {number!r:.40} is no token")
    return tokens[number]


def _write_byte_pairs(metadata: Mapping[str, Any], tokens: list[str], folder: Path) -> list[str]:
    splitter = metadata.get(SPLITTER, "default")
    if splitter not in SPLITTERS:
        return [
            f"its tokenizer is not read, because {SPLITTER} is {splitter!r:.40}; known are"
            f" {', '.join(sorted(SPLITTERS))}"
        ]
    types = _numbers(metadata, TYPES, len(tokens), 1)
    added = [
        {"id": number, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": type == CONTROL}
        for number, (token, type) in enumerate(zip(tokens, types, strict=True))
        if type in (CONTROL, USER_DEFINED)
    ]  # fmt: skip
    pairs = [pair.split(" ") for pair in _texts(metadata, MERGES)]
    if any(len(pair) != 2 for pair in pairs):
        raise CheckpointError(f"{MERGES}: a pair that has not two parts")
    model = {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
        "ignore_merges": splitter in WHOLE_WORDS,
        "vocab": {token: number for number, token in enumerate(tokens)}, "merges": pairs,
    }  # fmt: skip
    told = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "NFC"} if splitter in COMPOSED else None,
        "pre_tokenizer": SPLITTERS[splitter], "post_processor": None,
        "decoder": _byte_level(True), "model": model,
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(told))
    if splitter == "default":
        return [f"no {SPLITTER} tells how texts are cut into words; they are cut as GPT-2's"]
    return []
