"""Formats results as text, as n-best lists of Moses, or as JSON, one document a line."""

from __future__ import annotations

from collections.abc import Callable

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
        for translation, again in zip(result.translations, result.repeated, strict=True)
    ]


def scores(number: int, result: Result, shown: Shown) -> list[str]:
    """score [||| alignment] [||| WordScores= ...]"""
    assert result.best.scores is not None
    *fields, _, _ = _fields(result.best, shown)
    return [SEPARATOR.join([str(result.best.scores.score), *fields])]


def json(number: int, result: Result, shown: Shown) -> list[str]:
    """Return one JSON document.  Numbers are written as exact decimal numbers."""
    members = result.to_dict(several=shown.several, token_scores=shown.scores == "token")
    document = {"id": number, **members}
    return [_JSON.encode(document).decode()]


_JSON = msgspec.json.Encoder(decimal_format="number")


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
