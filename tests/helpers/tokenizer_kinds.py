"""Tokenizers of every kind that the library `tokenizers` trains, as tokenizer.json files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

KINDS = ("bytes", "llama3", "metaspace", "unigram", "wordpiece", "fallback", "words")
CHAT = "<|im_start|>"


def trained(kind: str, lines: Iterable[str], size: int = 400) -> str:
    """Return the JSON of a tokenizer of a kind that is trained on lines."""
    tokenizers = pytest.importorskip("tokenizers", reason="the package tokenizers makes the files")
    made = _MAKERS[kind](tokenizers)
    trainer = _trainer(tokenizers, kind, size)
    made.train_from_iterator(lines, trainer)
    made.add_tokens([tokenizers.AddedToken("<tool>", normalized=False)])
    made.add_special_tokens([CHAT])
    return str(made.to_str())


def _trainer(tokenizers: Any, kind: str, size: int) -> Any:
    trainers, special = tokenizers.trainers, ["<s>", "</s>", "<unk>"]
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    named = {"vocab_size": size, "special_tokens": special, "show_progress": False}
    match kind:
        case "bytes" | "llama3":
            return trainers.BpeTrainer(initial_alphabet=alphabet, **named)
        case "unigram":
            return trainers.UnigramTrainer(unk_token="<unk>", **named)
        case "wordpiece":
            return trainers.WordPieceTrainer(**named)
        case "words":
            return trainers.WordLevelTrainer(**named)
        case "fallback":
            named["special_tokens"] = [*special, *(f"<0x{i:02X}>" for i in range(256))]
            return trainers.BpeTrainer(**named | {"vocab_size": size + 256})
    return trainers.BpeTrainer(**named)


def _bytes(t: Any) -> Any:
    made = t.Tokenizer(t.models.BPE())
    made.pre_tokenizer = t.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = t.decoders.ByteLevel()
    return made


LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _llama3(t: Any) -> Any:
    made = t.Tokenizer(t.models.BPE(ignore_merges=True))
    split = t.pre_tokenizers.Split(t.Regex(LLAMA3), "isolated")
    level = t.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = t.pre_tokenizers.Sequence([split, level])
    made.decoder = t.decoders.ByteLevel()
    return made


def _metaspace(t: Any) -> Any:
    made = t.Tokenizer(t.models.BPE(unk_token="<unk>", fuse_unk=True))
    made.normalizer = t.normalizers.NFKC()
    made.pre_tokenizer = t.pre_tokenizers.Metaspace()
    made.decoder = t.decoders.Metaspace()
    return made


def _unigram(t: Any) -> Any:
    made = t.Tokenizer(t.models.Unigram())
    two = t.normalizers.Replace(t.Regex(" {2,}"), " ")
    made.normalizer = t.normalizers.Sequence([t.normalizers.Nmt(), t.normalizers.NFKC(), two])
    made.pre_tokenizer = t.pre_tokenizers.Metaspace()
    made.decoder = t.decoders.Metaspace()
    return made


def _wordpiece(t: Any) -> Any:
    made = t.Tokenizer(t.models.WordPiece(unk_token="<unk>"))
    made.normalizer = t.normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = t.pre_tokenizers.BertPreTokenizer()
    made.decoder = t.decoders.WordPiece()
    return made


def _fallback(t: Any) -> Any:
    made = t.Tokenizer(t.models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    spaces = t.normalizers.Replace(" ", "\u2581")
    made.normalizer = t.normalizers.Sequence([t.normalizers.Prepend("\u2581"), spaces])
    parts = t.decoders.Replace("\u2581", " "), t.decoders.ByteFallback(), t.decoders.Fuse()
    made.decoder = t.decoders.Sequence([*parts, t.decoders.Strip(" ", 1, 0)])
    return made


def _words(t: Any) -> Any:
    made = t.Tokenizer(t.models.WordLevel(unk_token="<unk>"))
    made.pre_tokenizer = t.pre_tokenizers.WhitespaceSplit()
    return made


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "bytes": _bytes,
    "llama3": _llama3,
    "metaspace": _metaspace,
    "unigram": _unigram,
    "wordpiece": _wordpiece,
    "fallback": _fallback,
    "words": _words,
}
