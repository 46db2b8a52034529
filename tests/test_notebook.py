"""Results in notebooks: HTML that is well formed and escaped, dictionaries, arrays, and lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import int8ref
from int8ref import Alignment, Options, Translator, translate
from int8ref.encoder import Classification
from int8ref.language_model import Continuation
from int8ref.notebook import MOST_TOKENS, Cell, heat_map, tokens
from tests.helpers.models import build_tiny_model

FULL = Options(beam_size=3, n_best=2, scores=True, alignment="soft")
HARD = Options(alignment="hard")
WILD = "<script>alert('a')</script> & \"b\""


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator(build_tiny_model(2), "reference")


class Checked(HTMLParser):
    """Checks that every element ends, and collects the text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.open.append(tag)
        self.seen.append(tag)
        for name, value in attributes:
            assert not name.startswith("on")
            assert "http" not in value or name == "xmlns"

    def handle_startendtag(self, tag: str, attributes: Any) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_of_a_result(translator: Translator) -> None:
    result = translator.translate("The cat sat.", FULL)
    page = Checked(result._repr_html_())
    assert result.source in page.text
    for translation in result.translations:
        assert translation.text in page.text
        assert translation.scores is not None
        assert str(translation.scores.score) in page.text
    assert page.seen.count("svg") == 1
    assert all(token in page.text for token in (*result.tokens, *result.source_tokens))


@pytest.mark.parametrize(
    ("text", "options"),
    [("", FULL), (WILD, FULL), (WILD, HARD), ("the cat sat " * 20, Options())],
    ids=["blank", "soft", "hard", "long"],
)
def test_any_text_is_shown(translator: Translator, text: str, options: Options) -> None:
    result = translator.translate(text, options)
    best = replace(result.best, text=WILD, tokens=(WILD,) * len(result.tokens))
    tokens = (WILD,) * len(result.source_tokens)
    wild = replace(result, translations=(best,), source_tokens=tokens, unknown=((0, WILD),))
    for shown in (result, wild):
        page = Checked(shown._repr_html_())
        assert not {"script", "b"} & {*page.seen}
    assert WILD in page.text
    assert ("too long" in page.text) == result.truncated


def rectangles(content: str) -> Iterator[dict[str, str]]:
    svg = content[content.index("<svg") : content.index("</svg>") + 6]
    for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}rect"):
        yield element.attrib


def test_a_cell_has_the_place_and_the_colour_of_its_weight() -> None:
    cells = [Cell(0, 1, Decimal("0.25")), Cell(1, 0, Decimal(1)), Cell(1, 1, Decimal(0))]
    *drawn, frame = rectangles(heat_map(("a", "b"), ("c", "d"), cells))
    assert [cell["fill-opacity"] for cell in drawn] == ["0.25", "1"]
    left, top = int(frame["x"]), int(frame["y"])
    assert [(int(c["x"]) - left, int(c["y"]) - top) for c in drawn] == [(18, 0), (0, 18)]
    assert frame["stroke"] == "currentColor"


def test_a_large_heat_map_is_cut() -> None:
    many = ("x",) * (2 * MOST_TOKENS)
    cells = [Cell(place, place, Decimal(1)) for place in range(len(many))]
    content = heat_map(many, many, cells)
    assert len([*rectangles(content)]) == MOST_TOKENS + 1
    assert f"the first {MOST_TOKENS} tokens" in content


def test_unlikely_tokens_are_coloured() -> None:
    content = tokens(("p", "a", "b", "c"), (Decimal(0), Decimal("-2.5"), Decimal(-99)))
    assert content.count("rgba(239,68,68,") == 3
    colours = [part.split(")")[0] for part in content.split("rgba(239,68,68,")[1:]]
    assert colours == ["0.000", "0.300", "0.600"]


def test_html_of_the_other_results() -> None:
    labelled = Classification("a <b>", ("x", "<y>"), (-(3 << 20), -(1 << 18)), 3, False)
    page = Checked(labelled._repr_html_())
    assert page.text.index("<y>") < page.text.index("x")
    assert str(labelled.log_probabilities[1]) in page.text
    continued = Continuation("a <b>", False, "a <b> c", ("c",), (1,), True)
    assert "a <b> c" in Checked(continued._repr_html_()).text


@pytest.mark.parametrize("several", [False, True])
def test_a_dictionary_is_the_document_of_the_command(
    translator: Translator, tiny_file: Path, several: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = ["The cat sat.", "", "cat \U0001f63a"]
    options = ["--scores=token", "--alignment=soft", "--output-format", "json", "-b", "3"]
    options += ["--n-best", "2"] if several else []
    arguments = [*options, "-m", str(tiny_file), "--backend", "reference", "--", *lines]
    assert translate.main(arguments) == 0
    loaded = int8ref.load(tiny_file, "reference")
    assert isinstance(loaded, Translator)
    results = loaded.translate(lines, replace(FULL, n_best=2 if several else 1))
    for number, line in enumerate(capfd.readouterr().out.splitlines()):
        found = results[number].to_dict(several=several)
        document = json.loads(line, parse_float=Decimal)
        assert {"id": number} | json.loads(json.dumps(found, default=str)) == json.loads(
            json.dumps(document, default=str)
        )
    assert results[0].to_dict() == results[0].to_dict(several=several)


def test_weights_are_an_array(translator: Translator) -> None:
    found = translator.translate("The cat sat.", FULL).alignment
    assert found is not None
    assert found.weights is not None
    exact = np.asarray(found, object)
    assert exact.tolist() == [[*row] for row in found.weights]
    usual = np.asarray(found)
    assert (usual.dtype, usual.shape) == (np.float64, exact.shape)
    np.testing.assert_allclose(usual.sum(1), 1, atol=1e-4)
    assert np.asarray(Alignment((), ())).shape == (0, 0)
    with pytest.raises(int8ref.UserError, match='alignment="soft"'):
        np.asarray(Alignment(((0, 0),)))


def test_columns_before_the_source_are_counted() -> None:
    from int8ref.program.source_frame import SourceFrame
    from int8ref.translation.alignment import describe

    weights = np.array([[1, 8, 2, 3]])
    found = describe(weights, "soft", SourceFrame(before=(5,), after=(0,)))
    assert (found.points, found.before) == (((0, 0),), 1)


class Series:
    """Iterates over its values, as a series of pandas."""

    ndim = 1

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)


class Frame(Series):
    """Iterates over the names of its columns, as a table of pandas."""

    ndim = 2


def test_arrays_and_series_of_texts(translator: Translator) -> None:
    lines = ["The cat", "", "a"]
    wanted = translator.translate(lines)
    array: Any
    for array in (np.array(lines), np.array(lines, object), Series(lines), tuple(lines)):
        assert translator.translate(array) == wanted
    assert translator.translate(np.str_("The cat")) == wanted[0]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (["a", None], r"text\[1\] is None, not a str"),
        (np.array(["a", float("nan")], object), r"text\[1\] is nan, not a str"),
        (Series(["a", "b", b"c"]), r"text\[2\] is b'c', not a str"),
        (Frame(["a", "b"]), r"text is <.*>, not a str or a list of str"),
        (np.array([["a"]]), r"text is array\(.*, not a str or a list of str"),
        (np.array("a"), r"text is array\(.*, not a str or a list of str"),
        ({"a": 1}, r"text is {'a': 1}, not a str or a list of str"),
        (b"a", r"text is b'a', not a str or a list of str"),
        (None, r"text is None, not a str or a list of str"),
        (float("nan"), r"text is nan, not a str or a list of str"),
    ],
)
def test_other_values_are_refused_by_name(translator: Translator, value: Any, told: str) -> None:
    with pytest.raises(int8ref.UserError, match=told) as error:
        translator.translate(value)
    assert isinstance(error.value, TypeError)
