"""The figures of the pages are as their script draws them, and legible on light and dark pages."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from docs._site.drawing import LINE, STYLE, Drawing
from docs._site.figures import FIGURES, FOLDER

COLOUR = re.compile(r"\.(\w+) \{ fill: (#\w{6})")


@pytest.mark.parametrize("name", FIGURES)
def test_the_script_draws_the_figure(name: str) -> None:
    """`python -m docs._site.figures` writes the figures."""
    assert FIGURES[name]() == (FOLDER / name).read_text("utf-8")


def test_there_are_no_other_figures() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_a_title_and_its_texts_are_inside(name: str) -> None:
    root = ElementTree.parse(FOLDER / name).getroot()
    width, height = int(root.attrib["width"]), int(root.attrib["height"])
    space = "{http://www.w3.org/2000/svg}"
    assert (root.find(f"{space}title").text or "").endswith(".")  # type: ignore[union-attr]
    for text in root.iter(f"{space}text"):
        size = float(text.attrib["font-size"])
        reach = len(text.text or "") * size * 0.52
        x, anchor = float(text.attrib["x"]), text.attrib["text-anchor"]
        left = x - reach / 2 if anchor == "middle" else x
        assert left >= 0, text.text
        assert left + reach <= width, text.text
        assert size <= float(text.attrib["y"]) <= height, text.text


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("part", [0, 1], ids=["light", "dark"])
def test_texts_have_contrast(part: int) -> None:
    """At least 4.5 to 1, as WCAG asks of texts."""
    colours = dict(COLOUR.findall(STYLE.split("@media")[part]))
    for back in ("card", "integer", "float", "plain"):
        for text in ("ink", "quiet"):
            first, second = sorted(map(luminance, (colours[back], colours[text])))
            assert (second + 0.05) / (first + 0.05) >= 4.5, (back, text)


def test_texts_are_escaped() -> None:
    drawing = Drawing(100, 100, "a < b")
    assert drawing.box(0, 0, 50, ["x < y", "`&`"]) == 2 * LINE + 14
    found = ElementTree.fromstring(drawing.svg())
    assert [node.text for node in found.iter() if node.text and "x" in node.text[:1]] == ["x < y"]
