"""The languages of a CTranslate2 model, by the tokens in its vocabularies.

Its configuration has no start token for mBART, whose decoder begins with a language in mBART-cc25,
and with the end mark in mBART-50.  The languages of the vocabulary tell the one from the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from int8ref.program.languages import Languages
from weights_import.sources.language_tokens import (
    LEAST,
    OF_TARGET,
    codes,
    is_older_mbart,
    of_both,
    of_older_mbart,
    of_target,
    tokens_of,
)

Ids = Mapping[str, int]


class Spoken(NamedTuple):
    """How the sentences of a model tell their languages.

    languages  None for a model of one pair of languages
    starts     the first ids of the decoder by target language, where an import has to choose one
    start      the first id of the decoder; None where nothing tells it
    """

    languages: Languages | None
    starts: dict[str, int]
    start: int | None


def spoken(source: Ids, target: Ids, ends: tuple[int, int], start: int | None) -> Spoken:
    """How the sentences of a model with these vocabularies tell their languages.

    `ends` are the end marks of source and target.  `start` is the first id of the decoder, None
    where the configuration leaves that to the language.
    """
    heard, said = codes(source), codes(target)
    if len(said) < LEAST:
        return Spoken(of_target(codes(source, OF_TARGET)), {}, start)
    if start is None and is_older_mbart(said):
        return Spoken(of_older_mbart(heard, ends[0]), said, ends[1])
    return Spoken(of_both(heard, said, ends[0]), {}, ends[1] if start is None else start)


def controls(vocabulary: Ids) -> list[str]:
    """The tokens of a vocabulary that no text has."""
    found = tokens_of(vocabulary)
    return found if len(found) >= LEAST else []
