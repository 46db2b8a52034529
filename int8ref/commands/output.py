"""Formats results as text, as n-best lists of Moses, or as JSON, one document a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from int8ref.results import Result, Translation

SEPARATOR = " ||| "


class Shown(msgspec.Struct, frozen=True):
    """The fields of an output line beside the text.

    scores     "sentence" or "token", or None for no scores
    alignment  "hard" or "soft", or None for no alignment
    several    True for a list of translations
    """

    scores: str | None
    alignment: str | None
    several: bool = False


Format = Callable[[int, Result, Shown], list[str]]
"""Returns the lines of one result.  The number is the number of the input line, from 0."""


def text(number: int, result: Result, shown: Shown) -> list[str]:
    """text [||| alignment] [||| WordScores= ...] [||| F0= log-probability ||| score]"""
    return [SEPARATOR.join([result.text, *_fields(result.best, shown)])]


def n_best(number: int, result: Result, shown: Shown) -> list[str]:
    """number ||| text [||| alignment] [||| WordScores= ...] ||| F0= log-probability ||| score

    After the log-probability, `Cut= 1` and `Repeated= 1` are sparse features of Moses: a feature
    with the value 0 is omitted.
    """
    told = Shown(shown.scores or "sentence", shown.alignment)
    return [
        SEPARATOR.join([str(number), translation.text, *_fields(translation, told, again)])
        for translation, again in zip(result.translations, _repeated(result), strict=True)
    ]


def scores(number: int, result: Result, shown: Shown) -> list[str]:
    """score [||| alignment] [||| WordScores= ...]"""
    assert result.best.scores is not None
    *fields, _, _ = _fields(result.best, shown)
    return [SEPARATOR.join([str(result.best.scores.score), *fields])]


def json(number: int, result: Result, shown: Shown) -> list[str]:
    """Return one JSON document.  Numbers are written as exact decimal numbers."""
    document: dict[str, Any] = {
        "id": number,
        "source": result.source,
        "source_tokens": result.source_tokens,
        "truncated": result.truncated,
    }
    if result.unknown:
        document["source_unknown"] = result.unknown
    if shown.several:
        document["translations"] = [
            _members(t, shown) | ({"repeated": True} if again else {})
            for t, again in zip(result.translations, _repeated(result), strict=True)
        ]
    else:
        document |= _members(result.best, shown)
    return [_JSON.encode(document).decode()]


_JSON = msgspec.json.Encoder(decimal_format="number")


def _repeated(result: Result) -> list[bool]:
    """Return for each translation whether an earlier translation has the same text."""
    texts = [translation.text for translation in result.translations]
    return [text in texts[:place] for place, text in enumerate(texts)]


def _fields(translation: Translation, shown: Shown, repeated: bool = False) -> list[str]:
    fields = []
    found, scores = translation.alignment, translation.scores
    if shown.alignment and found is not None:
        if found.weights is None:
            fields.append(" ".join(f"{source}-{target}" for source, target in found.points))
        else:
            fields.append(" ".join(",".join(map(str, row)) for row in found.weights))
    if shown.scores and scores is not None:
        if shown.scores == "token":
            fields.append(" ".join(["WordScores=", *map(str, scores.tokens)]))
        marks = {"Cut= 1": not scores.complete, "Repeated= 1": repeated}
        features = [f"F0= {scores.log_probability}", *(mark for mark in marks if marks[mark])]
        fields += [" ".join(features), str(scores.score)]
    return fields


def _members(translation: Translation, shown: Shown) -> dict[str, Any]:
    members: dict[str, Any] = {"text": translation.text, "tokens": translation.tokens}
    found, scores = translation.alignment, translation.scores
    if scores is not None:
        members |= {"score": scores.score, "log_probability": scores.log_probability}
        members |= {"complete": scores.complete}
        members |= {"token_scores": scores.tokens} if shown.scores == "token" else {}
    if translation.unknown:
        members["unknown"] = translation.unknown
    if translation.copied:
        members["copied"] = translation.copied
    if found is not None:
        members["alignment"] = found.points
        members |= {"alignment_weights": found.weights} if found.weights is not None else {}
    return members
