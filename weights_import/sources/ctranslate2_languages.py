"""The tokens of languages in the vocabularies of a CTranslate2 model, and where they stand.

    __en__ (M2M100), eng_Latn (NLLB), en_XX (mBART-50)
                 en ... </s>     the decoder begins with its start token, then pt
    en_XX, where the configuration has no start token (mBART)
                 ... </s> en     the decoder begins with pt
    >>por<< (OPUS-MT, one token for the language of the target)
                 pt ... </s>     the decoder begins with its start token

A text may have the last one itself.  Therefore such a model can do without a pair of languages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from int8ref.program.program import SourceFrame
from weights_import.errors import CheckpointError

Pair = tuple[str, str]
"""The languages of source and target, each as its token or as the code in the token."""

OF_EACH = re.compile(r"__[a-z]{2,3}__|[a-z]{3}_[A-Z][a-z]{3}|\[?[a-z]{2}_[A-Z]{2}\]?")
"""A token that stands with each sentence of its language."""
OF_TARGET = re.compile(r">>[A-Za-z_-]{1,32}<<")
"""A token that stands before a source, and tells the language of the target."""
AROUND_CODES = "_<>[]"
LEAST = 2
"""A model with this number of tokens `OF_EACH` needs them."""
SHOWN = 3


@dataclass(frozen=True)
class Marks:
    """The tokens with each sentence.

    start   the decoder begins with it; -1 for the zero vector
    frame   around a source
    prefix  each target begins with it
    """

    start: int
    frame: SourceFrame
    prefix: tuple[int, ...] = ()


def language_tokens(vocabulary: Iterable[str], form: re.Pattern[str] = OF_EACH) -> list[str]:
    """The tokens of languages in a vocabulary."""
    return [token for token in vocabulary if form.fullmatch(token)]


def refuse_languages(vocabulary: Iterable[str]) -> None:
    """Raises CheckpointError for a model whose sentences need the tokens of their languages."""
    found = language_tokens(vocabulary)
    if len(found) >= LEAST:
        raise CheckpointError(
            f"a model of many languages (its vocabulary has {_shown(found)}), such as NLLB, M2M100"
            " or mBART, is not supported, because each of its sentences needs the tokens of its"
            " languages; import a model of one pair of languages"
        )


def marks_of(
    pair: Pair, source: Mapping[str, int], target: Mapping[str, int], eos: int, start: int | None
) -> Marks:
    """The tokens with each sentence of a pair of languages, for the vocabularies of both sides.

    `start` is what the decoder begins with, None where the configuration leaves that to the
    language.  Raises CheckpointError for a language that has no token.
    """
    if not language_tokens(source) and start is not None:
        spoken = _token(pair[1], source, OF_TARGET)
        return Marks(start, SourceFrame((spoken,), (eos,)))
    heard, spoken = (
        _token(language, vocabulary, OF_EACH)
        for language, vocabulary in zip(pair, (source, target), strict=True)
    )
    if start is None:
        return Marks(spoken, SourceFrame((), (eos, heard)))
    return Marks(start, SourceFrame((heard,), (eos,)), (spoken,))


def _token(language: str, vocabulary: Mapping[str, int], form: re.Pattern[str]) -> int:
    """The id of the token of a language; raises CheckpointError without one."""
    found = language_tokens(vocabulary, form)
    for token in found:
        if language in (token, token.strip(AROUND_CODES)):
            return vocabulary[token]
    known = f"the tokens of its languages are {_shown(found)}" if found else "it has no such token"
    raise CheckpointError(f"no token of the language {language!r}: {known}")


def _shown(tokens: list[str]) -> str:
    return ", ".join(tokens[:SHOWN]) + (" ..." if len(tokens) > SHOWN else "")
