"""Output formats: all fields, and JSON that a parser reads back."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.commands import output
from int8ref.commands.output import Shown
from int8ref.results import Alignment, Result, Scores, Translation


def number(text: str) -> Decimal:
    return Decimal(text)


def numbers(text: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, text.split()))


BEST = Translation(
    "O gato",
    ("▁O", "▁gato"),
    (7, 9),
    Scores(numbers("-0.500000 -0.250000 0.000000"), number("-0.750000"), number("-0.25"), True),
    Alignment(((0, 0), (1, 1)), (numbers("0.75 0.25 0"), numbers("0.1 0.8 0.1"))),
)
SECOND = Translation(
    "Um gato",
    ("▁Um",),
    (8,),
    Scores(numbers("-1.5"), number("-1.500000"), number("-1.500000"), False),
    Alignment(((1, 0),), (numbers("0.4 0.5 0.1"),)),
)
RESULT = Result("The cat", ("▁The", "▁cat"), False, (BEST, SECOND))
HARD = Result(
    "The cat",
    ("▁The", "▁cat"),
    False,
    (Translation("O gato", ("▁O", "▁gato"), (7, 9), None, Alignment(((0, 0), (1, 1)))),),
)
EMPTY = Result("", (), False, (Translation("", (), (), Scores((), number("0.000000"),
    number("0.000000"), True), Alignment(())),))  # fmt: skip


@pytest.mark.parametrize(
    ("result", "scores", "alignment", "line"),
    [
        (RESULT, None, None, "O gato"),
        (RESULT, "sentence", None, "O gato ||| F0= -0.750000 ||| -0.25"),
        (
            RESULT, "token", None,
            "O gato ||| WordScores= -0.500000 -0.250000 0.000000 ||| F0= -0.750000 ||| -0.25",
        ),
        (RESULT, None, "soft", "O gato ||| 0.75,0.25,0 0.1,0.8,0.1"),
        (HARD, None, "hard", "O gato ||| 0-0 1-1"),
        (EMPTY, "token", "hard", " |||  ||| WordScores= ||| F0= 0.000000 ||| 0.000000"),
    ],
)  # fmt: skip
def test_text(result: Result, scores: str | None, alignment: str | None, line: str) -> None:
    assert output.text(3, result, Shown(scores, alignment)) == [line]


def test_n_best_is_the_form_of_moses() -> None:
    assert output.n_best(3, RESULT, Shown(None, None)) == [
        "3 ||| O gato ||| F0= -0.750000 ||| -0.25",
        "3 ||| Um gato ||| F0= -1.500000 Cut= 1 ||| -1.500000",
    ]
    assert output.n_best(0, HARD, Shown(None, "hard")) == ["0 ||| O gato ||| 0-0 1-1"]


@pytest.mark.parametrize(
    ("scores", "line"),
    [("sentence", "-0.25"), ("token", "-0.25 ||| WordScores= -0.500000 -0.250000 0.000000")],
)
def test_scores(scores: str, line: str) -> None:
    assert output.scores(3, RESULT, Shown(scores, None)) == [line]


def test_json_of_a_list() -> None:
    (line,) = output.json(3, RESULT, Shown("token", "soft", several=True))
    document = json.loads(line, parse_float=Decimal, parse_int=int)
    assert document == {
        "id": 3,
        "source": "The cat",
        "source_tokens": ["▁The", "▁cat"],
        "truncated": False,
        "translations": [
            {
                "text": "O gato",
                "tokens": ["▁O", "▁gato"],
                "score": Decimal("-0.25"),
                "log_probability": Decimal("-0.75"),
                "complete": True,
                "token_scores": [Decimal("-0.5"), Decimal("-0.25"), 0],
                "alignment": [[0, 0], [1, 1]],
                "alignment_weights": [
                    [Decimal("0.75"), Decimal("0.25"), 0],
                    [Decimal("0.1"), Decimal("0.8"), Decimal("0.1")],
                ],
            },
            {
                "text": "Um gato",
                "tokens": ["▁Um"],
                "score": Decimal("-1.5"),
                "log_probability": Decimal("-1.5"),
                "complete": False,
                "token_scores": [Decimal("-1.5")],
                "alignment": [[1, 0]],
                "alignment_weights": [[Decimal("0.4"), Decimal("0.5"), Decimal("0.1")]],
            },
        ],
    }
    assert '"log_probability":-0.750000,' in line, "a decimal number, as it is"


@given(st.text(), st.text(), st.lists(st.decimals(-99, 0, places=6)), st.booleans())
def test_json_there_and_back(
    source: str, text: str, tokens: list[Decimal], truncated: bool
) -> None:
    total = sum(tokens, Decimal("0.000000"))
    translation = Translation(text, (text,), (5,), Scores(tuple(tokens), total, total, True))
    shown = Shown("token", None)
    (line,) = output.json(0, Result(source, (), truncated, (translation,)), shown)
    assert "\n" not in line
    document: dict[str, Any] = json.loads(line, parse_float=Decimal)
    assert document["source"] == source
    assert document["text"] == text
    assert document["token_scores"] == tokens
    assert document["truncated"] is truncated


AWKWARD = "a\0b\x1b[31m\x7f\u0085\u2028\u2029\ufeff\ufffe\\\"'/\t{}\U0001f408 ||| </script>"


def test_every_line_of_json_is_one_document_of_standard_json() -> None:
    """The document has no NaN and no Infinity, for any text."""
    unknown = ((0, AWKWARD),)
    translation = Translation(AWKWARD, (AWKWARD,), (5,), BEST.scores, BEST.alignment, unknown)
    result = Result(AWKWARD, (AWKWARD,), False, (translation, translation), unknown)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    for several in (True, False):
        (line,) = output.json(0, result, Shown("token", "soft", several=several))
        assert line.splitlines() == [line] or set(line) & set("\u0085\u2028\u2029")
        assert "\n" not in line
        assert not any(ord(character) < 32 for character in line)
        document = json.loads(line, parse_constant=refuse)
        told = document["translations"][0] if several else document
        assert document["source"] == told["text"] == AWKWARD
        assert document["source_unknown"] == told["unknown"] == [[0, AWKWARD]]


def test_json_tells_what_is_repeated() -> None:
    result = Result("The cat", (), False, (BEST, SECOND, BEST))
    (line,) = output.json(0, result, Shown(None, None, several=True))
    told = json.loads(line)["translations"]
    assert [t.get("repeated", False) for t in told] == [False, False, True]
    assert [line.split(" ||| ")[2] for line in output.n_best(0, result, Shown(None, None))] == [
        "F0= -0.750000", "F0= -1.500000 Cut= 1", "F0= -0.750000 Repeated= 1",
    ]  # fmt: skip
