"""Sentences and marks: nothing is lost, whatever the text and the alignment are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.documents import translate_html, translate_text
from int8ref.documents.errors import DocumentError
from int8ref.documents.inline import Item, Link, Mark, Sentences, placed, visible
from int8ref.documents.sentences import split
from tests.helpers.reversing import Reversing, reversed_words

pytest.importorskip("sentencex", reason="the extra documents is not installed")

TEXT = st.text("ab .,\u00e9\u4e2d", max_size=6)
ITEMS: st.SearchStrategy[list[Item]] = st.recursive(
    st.lists(TEXT | st.builds(lambda: Mark(["<gap>"], gap=True)), max_size=3),
    lambda inner: st.lists(
        TEXT | st.builds(lambda items: Mark(["<m>"], "</m>", items), inner), max_size=4
    ),
    max_leaves=12,
)


def marks(items: list[Item]) -> Iterator[tuple[int, Mark]]:
    """Yield the marks, and the id of the list that each has from its source."""
    for item in items:
        if isinstance(item, Mark):
            yield id(item.open), item
            yield from marks(item.children)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Item], Sentences]:
    items = draw(ITEMS)
    source = visible(items)
    texts, begins, links = "", [], []
    places = sorted(draw(st.sets(st.integers(0, len(source)), max_size=3)) | {0, len(source)})
    for begin, end in zip(places, places[1:] or [0], strict=False):
        text = draw(st.text("xy .\u4e2d", max_size=12))
        begins.append((begin, len(texts)))
        own: list[Link] = []
        cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=5)))
        for low, high in pairwise(cuts):
            place = draw(st.integers(begin, end))
            span = len(texts) + low, len(texts) + high
            own.append((span, (place, draw(st.integers(place, end)))))
        links.append(own)
        texts += text
    return items, Sentences(texts, begins, links)


@given(cases())
def test_each_mark_is_there_once_and_no_text_is_lost(case: tuple[list[Item], Sentences]) -> None:
    items, found = case
    out = placed(items, found)
    assert sorted(place for place, _ in marks(out)) == sorted(place for place, _ in marks(items))
    inner = {place: sorted(p for p, _ in marks(mark.children)) for place, mark in marks(items)}
    for place, mark in marks(out):
        assert sorted(p for p, _ in marks(mark.children)) == inner[place]
    assert visible(out).replace(" ", "") == found.text.replace(" ", "")


@given(st.text("aB .!?\n\t;,\u3002\u00a0\U0001f600", max_size=80), st.integers(1, 20))
def test_sentences_make_up_the_text(text: str, most: int) -> None:
    parts = list(split(text, "en", lambda part: len(part) <= most))
    assert "".join(parts) == text
    for part in parts:
        core = part.strip()
        assert not core or (part == core and "\n" not in part and len(part) <= most)


def test_long_sentences_are_split_at_the_best_place() -> None:
    text = "One two three, four five; six seven eight nine ten"
    parts = list(split(text, "en", lambda part: len(part) <= 40))
    assert parts == ["One two three, four five;", " ", "six seven eight nine ten"]


def test_a_text_of_many_sentences() -> None:
    text = "  The cat sat.  It was Dr. Smith's cat!\n\n 42 \n  Was it?  "
    expected = "  SAT. CAT THE  CAT! SMITH'S DR. WAS IT\n\n 42 \n  IT? WAS  "
    translator = Reversing()
    assert translate_text(translator, text) == expected
    assert translator.seen == ["The cat sat.", "It was Dr. Smith's cat!", "Was it?"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a <b>red fox</b> ran", "RAN <b>FOX RED</b> A"),
        ("<b>a red</b> <i>fox ran</i>", "<i>RAN FOX</i> <b>RED A</b>"),
        ("a <b>red <i>fox</i></b> ran", "RAN <b><i>FOX</i> RED</b> A"),
        ("<p>a <img src='x'> fox</p>", "<p><img src='x'> FOX A</p>"),
        ("<b>all of it</b>", "<b>IT OF ALL</b>"),
        ("one two<br>\n<b>three</b> four", "TWO ONE<br> FOUR <b>THREE</b>"),
        ("<p>a &lt; b &amp; c", "<p>C &amp; B &lt; A"),
        ("<b>open a fox", "<b>FOX A OPEN"),
        ("a fox</b> ran", "RAN FOX A</b>"),
        ("run <code>a b</code> now", "<code>a b</code> NOW RUN"),
        ("<script>if (a < b) c</script><p title='a b'>a b", None),
        ("<!-- a b --><p translate=no>a b</p>", "<!-- a b --><p translate=no>a b</p>"),
        ("<ul><li>a b<li>c d</ul>", "<ul><li>B A<li>D C</ul>"),
        ("12 <b>34</b>", "12 <b>34</b>"),
        ("a fox<a href=n><sup>1</sup></a>", "FOX A<a href=n><sup>1</sup></a>"),
        ("a fox<a role='doc-noteref'>1</a> ran", "RAN FOX A<a role='doc-noteref'>1</a>"),
        ("a <sup>red</sup> fox", "FOX <sup>RED</sup> A"),
    ],
)  # fmt: skip
def test_tags_are_carried_over(source: str, expected: str | None) -> None:
    found = translate_html(Reversing(), source)
    wanted = "<script>if (a < b) c</script><p title='a b'>B A"
    assert found == (wanted if expected is None else expected)


@pytest.mark.parametrize("source", ["<b>a " * 300 + "</b>" * 300, "<b>a </b>" * 5000])
def test_too_many_tags_are_refused(source: str) -> None:
    with pytest.raises(DocumentError, match=r"more than (200 deep|4000 elements)"):
        translate_html(Reversing(), source)


def test_reversed_words_is_the_oracle() -> None:
    assert reversed_words("a red fox.") == "FOX. RED A"
