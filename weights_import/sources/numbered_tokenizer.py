"""The tokenizer of one side whose pieces a vocabulary numbers.

a SentencePiece model              its pieces get the ids of the vocabulary
codes of subword-nmt or fastBPE    their pieces have these ids
a vocabulary of single characters  is a tokenizer itself
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from weights_import.sources.subword import subword_tokenizer
from weights_import.sources.tokenizers import read_limited
from weights_import.sources.vocabulary import of_characters, renumbered

SPECIAL = "<s>", "</s>", "<pad>", "<blank>", "<unk>"
"""Pieces that stand for no text."""


@dataclass(frozen=True)
class Beside:
    """The files of one side, as far as there are any, and the pieces that stand for no text."""

    model: Path | None = None
    codes: Path | None = None
    controls: Collection[str] = ()


def numbered_tokenizer(
    vocabulary: Mapping[str, int], eos: str, unk: str, beside: Beside
) -> bytes | None:
    """The tokenizer of a side; None without one; raises CheckpointError for damaged files."""
    if beside.model is not None:
        return renumbered(read_limited(beside.model), vocabulary, eos, unk, beside.controls)
    if beside.codes is not None:
        codes, special = read_limited(beside.codes), (*SPECIAL, *beside.controls)
        return subword_tokenizer(codes, vocabulary, unk=unk, special=special)
    return of_characters(vocabulary, eos, unk, beside.controls)
