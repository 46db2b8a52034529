"""The option copy_unknown: the tokens stay, and the text gets what the model cannot translate."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import int8ref
from int8ref import Options
from int8ref.translation.copying import PROTECTED, Aligned, copy_unknown, cut_place, protected
from int8ref.translation.placing import spans_of, trimmed
from tests.helpers.processes import run

PARTS = (
    ["Tom", "sleeps.", "\U0001f600", "{name}", "<b>", "a@b.org", "%s", ",", "house"],
    ["https://x.org/a?b=1", "\u20ac", "&amp;"],
)
WORDS = st.lists(st.sampled_from([*PARTS[0], *PARTS[1]]), max_size=8).map(" ".join)


@given(WORDS)
def test_tokens_stay_and_every_copy_is_in_the_text(text: str) -> None:
    translator = int8ref.load("en-de-tatoeba")
    plain = translator.translate(text)
    found = translator.translate(text, Options(copy_unknown=True))
    assert (found.tokens, found.best.ids) == (plain.tokens, plain.best.ids)
    assert found.alignment is None
    for match in PROTECTED.finditer(text):
        assert match[0] in found.text
    for (begin, end), (source, source_end) in found.best.copied:
        assert found.text[begin:end] == text[source:source_end] != ""
    for token, (begin, end) in zip(found.tokens, found.best.spans, strict=False):
        assert 0 <= begin <= end <= len(found.text), token


@pytest.mark.parametrize(
    ("source", "text", "pairs", "unknown", "expected"),
    [
        ("I \u2665 you", "Ich dich", [(0, 0), (2, 1)], [1], "Ich \u2665 dich"),
        ("I \u2665 you", "Ich - dich", [(0, 0), (1, 1), (2, 2)], [1], "Ich \u2665 dich"),
        ("Hi {name} !", "Ha {nome} !", [(0, 0), (1, 1), (2, 2)], [], "Ha {name} !"),
        ("Hi %s !", "Ha %s !", [(0, 0), (1, 1), (2, 2)], [], "Ha %s !"),
        ("Hi \u2665", "Hallo dort", [(0, 0), (0, 1)], [1], "Hallo dort \u2665"),
        ("\u2665 Hi", "Hallo dort", [(1, 0), (1, 1)], [0], "\u2665 Hallo dort"),
        ("a \u2665", "", [], [1], "\u2665"),
    ],
)
def test_places(
    source: str, text: str, pairs: list[tuple[int, int]], unknown: list[int], expected: str
) -> None:
    sources, targets = places_of(source), places_of(text)
    copied, spans, places = copy_unknown(Aligned(source, text, sources, targets, pairs, unknown))
    assert copied == expected
    assert [copied[a:b] for (a, b), _ in places] == [source[a:b] for _, (a, b) in places]
    assert len(spans) == len(targets)


def places_of(text: str) -> list[tuple[int, int]]:
    """Return the places of the words."""
    found, size = [], 0
    for word in text.split():
        size = text.index(word, size)
        found.append((size, size + len(word)))
        size += len(word)
    return found


@given(st.text("ab \u4e2d", max_size=10), st.data())
def test_a_cut_separates_the_fewest_tokens(text: str, data: st.DataObject) -> None:
    words = places_of(text)
    place = st.integers(0, 9)
    pairs = [(word, (s := data.draw(place), s + 1)) for word in words]
    begin = data.draw(place)
    span = begin, begin + 1

    def crossed(cut: int) -> int:
        wrong = [(b < cut and s[0] > begin) or (e > cut and s[0] < begin) for (b, e), s in pairs]
        return sum(wrong)

    found = cut_place(text, pairs, span)
    allowed = [0, len(text), *(edge for word in words for edge in word)]
    inner = [
        p for p in allowed if not (0 < p < len(text) and text[p - 1] + text[p] in ("ab", "ba"))
    ]
    assert crossed(found) == min(map(crossed, inner))


def test_an_apostrophe_within_a_word_is_no_copy() -> None:
    source = "don\u2019t \u201ego\u201c"
    spans = [(0, 3), (3, 4), (4, 5), (6, 7), (7, 9), (9, 10)]
    found = Aligned(source, "x", spans, [(0, 1)], [], [1, 3, 5])
    assert protected(found) == [(6, 7), (9, 10)]


def test_places_of_tokens() -> None:
    texts = {0: "", 1: "\ufffd", 2: "\u00e9 ", 3: "\u00e9 b"}
    spans = spans_of("\u00e9 b", [1, 2, 3], lambda ids: texts[len(ids)])
    assert trimmed("\u00e9 b", spans) == ((0, 0), (0, 1), (2, 3))


@pytest.mark.parametrize(
    "kind", ["\U0001f600" * 3, "a@b.org" * 2, "<b>" * 1000, "{" * 5000, "%(" * 5000]
)
def test_hostile_lines_end(kind: str) -> None:
    PROTECTED.findall(kind * 20)


def test_the_command_shows_the_copies_in_json() -> None:
    command = [sys.executable, "-m", "int8ref.translate", "-q", "-m", "en-de-tatoeba"]
    line = "Tom sleeps \U0001f600."
    json_form = [*command, "--copy-unknown", "--output-format", "json", line]
    status, out, _ = run(json_form)
    assert status == 0
    document = json.loads(out)
    ((begin, end), (source, source_end)) = document["copied"][0]
    assert document["text"][begin:end] == line[source:source_end] == "\U0001f600"
    _, plain, _ = run([*command, "--output-format", "json", line])
    assert "copied" not in json.loads(plain)
    assert json.loads(plain)["tokens"] == document["tokens"]
    _, told, _ = run([*command, "--copy-unknown", "--signature"])
    assert b"|copy-unknown:yes" in told
