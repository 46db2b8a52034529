"""Translations after a given text: the command and Python give the results of the engine."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path as FilePath
from typing import Any

import pytest
import sentencepiece

import int8ref
from int8ref import Options, Result, Translator
from int8ref.engines.backends import load_engine
from int8ref.program.sizes import max_target_length
from int8ref.search import BeamOptions, Hypothesis, Sampling
from int8ref.search.request import Path, Request
from int8ref.text.decimals import natural_log
from int8ref.translator import Line
from tests.helpers.builder import POSITIONS
from tests.helpers.machine_text import machine_text
from tests.helpers.models import build_tiny_model
from tests.helpers.processes import Command, run

LINES = ["The cat sat on the mat.", "", "a", "We like to eat red fish; do you?", "O sol nasceu"]
TEXT = "".join(f"{line}\n" for line in LINES).encode()
PREFIX = "O gato"
MODEL = build_tiny_model(2)
LONG = "O gato comeu o peixe. " * 20
STREAMS = 64
"""Number of streams of random numbers of a line."""


@pytest.fixture(name="tiny")
def tiny_command(tiny_file: FilePath) -> Command:
    return [sys.executable, "-m", "int8ref.translate", "-m", tiny_file, "--backend", "reference"]


@pytest.fixture(scope="module", name="translator")
def tiny_translator(tiny_file: FilePath) -> Translator:
    found = int8ref.load(tiny_file, "reference", batch_size=2)
    assert isinstance(found, Translator)
    return found


@cache
def processor() -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=MODEL.source.model)


def request_of(line: str, prefix: str, number: int = 0) -> Request:
    """Return the request to the engine for a translation with the usual limit."""
    ids, begun = [*processor().encode(line), MODEL.program.eos], processor().encode(prefix)
    limit = max_target_length(MODEL.program, MODEL.tensors, len(ids))
    return Request(ids, max(1, limit - len(begun)), begun, number=number)


def text_of(prefix: str, ids: Sequence[int]) -> str:
    text: str = processor().decode([*processor().encode(prefix), *ids])
    return text


@cache
def searched(prefix: str, size: int, n_best: int) -> list[list[Hypothesis]]:
    """Return the results of the engine, one line at a time.  A blank line has no results."""
    engine = load_engine(MODEL.program, MODEL.tensors, "reference")
    options = BeamOptions(size, n_best, alpha=MODEL.program.alpha)
    return [engine.beam([request_of(line, prefix)], options)[0] if line else [] for line in LINES]


def translated(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return the greedy translations of sentences after prefixes.  Blank lines stay blank."""
    engine = load_engine(MODEL.program, MODEL.tensors, "reference")
    return [
        text_of(prefix, engine.greedy([request_of(line, prefix)])[0]) if line.strip() else ""
        for line, prefix in pairs
    ]


def both(command: Command, stdin: bytes = b"") -> bytes:
    """Return the output of a command.  Both backends must give equal bytes and no messages."""
    machine_text()
    golden = run(command, stdin)
    assert golden[::2] == (0, "")
    assert run([*command, "--backend", "compiled"], stdin) == golden
    return golden[1]


def test_greedy(tiny: Command) -> None:
    found = both([*tiny, "--target-prefix", PREFIX], TEXT).decode().splitlines()
    assert found == translated([(line, PREFIX) for line in LINES])
    assert [line.startswith(PREFIX) for line in found] == [bool(line) for line in LINES]
    plain = run(tiny, TEXT)[1].decode().splitlines()
    assert not any(line.startswith(PREFIX) for line in plain)


def test_lists(tiny: Command) -> None:
    options = ["-b", "4", "--n-best", "3", "--scores=token", "--target-prefix", PREFIX]
    found = iter(both([*tiny, *options], TEXT).decode().splitlines())
    for number, some in enumerate(searched(PREFIX, 4, 3)):
        if not some:
            assert next(found) == f"{number} |||  ||| WordScores= ||| F0= 0.000000 ||| 0.000000"
        for h in some:
            words = " ".join(["WordScores=", *(str(natural_log(token)) for token in h.tokens)])
            features = f"F0= {natural_log(sum(h.tokens))}" + " Cut= 1" * (not h.complete)
            fields = [str(number), text_of(PREFIX, h.ids), words, features]
            assert next(found) == " ||| ".join([*fields, str(natural_log(h.score))])
            assert fields[1].startswith(PREFIX)
    assert list(found) == []


def test_json(tiny: Command) -> None:
    """Tokens and alignment include the prefix.  Scores do not."""
    options = ["-b", "4", "--output-format", "json", "--scores=token", "--alignment=soft"]
    out = both([*tiny, *options, "--target-prefix", PREFIX], TEXT)
    documents = [json.loads(line, parse_float=str) for line in out.splitlines()]
    begun = processor().encode(PREFIX, out_type=str)
    assert documents[1]["text"] == ""
    assert documents[1]["tokens"] == []
    for document, some in zip(documents, searched(PREFIX, 4, 1), strict=True):
        for h in some:
            pieces = [processor().id_to_piece(i) for i in h.ids]
            assert document["text"] == text_of(PREFIX, h.ids)
            assert document["tokens"] == begun + pieces
            assert document["token_scores"] == [str(natural_log(token)) for token in h.tokens]
            assert document["complete"] is h.complete
            assert [t for _, t in document["alignment"]] == list(range(len(begun + pieces)))
            assert len(document["alignment_weights"]) == len(begun + pieces)
    assert sum(map(bool, searched(PREFIX, 4, 1))) == 4


def test_several_are_drawn_and_scored(tiny: Command) -> None:
    options = ["--temperature", "1.5", "--seed", "5", "--n-best", "2", "--output-format", "json"]
    options += ["--scores=token", "--target-prefix", PREFIX]
    out = both([*tiny, *options], TEXT)
    engine, sampling = load_engine(MODEL.program, MODEL.tensors, "reference"), Sampling(150, seed=5)
    for number, (line, document) in enumerate(zip(LINES, out.splitlines(), strict=True)):
        found = json.loads(document, parse_float=str)["translations"]
        asked = [request_of(line, PREFIX, number * STREAMS + i) for i in range(2)]
        drawn = engine.sample(asked, sampling) if line else []
        assert [t["text"] for t in found] == ([text_of(PREFIX, ids) for ids in drawn] or [""])
        for translation, request, ids in zip(found, asked, drawn, strict=bool(line)):
            assert translation["text"].startswith(PREFIX)
            ended = len(ids) < request.limit
            tokens = [*ids, MODEL.program.eos] if ended else ids
            (gains,) = engine.log_probabilities([Path(request.ids, -1, tokens, request.prefix)])
            assert translation["token_scores"] == [str(natural_log(gain)) for gain in gains]
            assert translation["complete"] is ended


@pytest.mark.parametrize("usual", ["", "A dog"])
@pytest.mark.parametrize("options", [[], ["-b", "3"], ["--temperature", "0.9"]])
def test_a_column_of_prefixes(tiny: Command, usual: str, options: list[str]) -> None:
    """A line without a tab has the prefix of all lines.

    An empty text after a tab means no prefix.
    """
    rows = ["The cat\tO gato", "The cat", "The cat\t", "", "\tO gato", " \tO", "a\tO sol nasceu e"]
    pairs = [tuple(row.split("\t")) if "\t" in row else (row, usual) for row in rows]
    command: Command = [*tiny, *options, "--prefix-column", "--target-prefix", usual]
    found = both(command, "".join(f"{row}\n" for row in rows).encode()).decode().splitlines()
    for (line, prefix), text in zip(pairs, found, strict=True):
        assert text.startswith(prefix) if line.strip() else text == ""
    if not options:
        assert found == translated(pairs)  # type: ignore[arg-type]


def test_a_column_in_texts_of_the_command_line(tiny: Command) -> None:
    status, out, told = run([*tiny, "--prefix-column", "The cat\tO gato"])
    assert (status, told) == (0, "")
    assert out.decode().splitlines() == translated([("The cat", "O gato")])


def test_two_tabs_are_an_error(tiny: Command) -> None:
    status, out, told = run([*tiny, "--prefix-column"], b"The cat\tO\na\tO\tsol\nThe cat\n")
    assert (status, told) == (1, "int8ref: error: line 2 has 2 tabs, not one\n")
    assert out.decode().splitlines() == translated([("The cat", "O")])


def test_without_a_column_a_tab_is_text(tiny: Command) -> None:
    _, out, _ = run([*tiny, "-q", "--output-format", "json"], b"The cat\tO gato\n")
    document = json.loads(out)
    assert document["source"] == "The cat\tO gato"
    assert not document["text"].startswith("O gato")


@pytest.mark.parametrize("options", [[], ["-b", "4"], ["--temperature", "1"]])
def test_a_prefix_that_is_too_long_is_cut(tiny: Command, options: list[str]) -> None:
    tokens = len(processor().encode(LONG))
    message = f"prefix: only the first {POSITIONS - 1} of {tokens} tokens are used"
    long: Command = [*tiny, *options, "--prefix-column", "--output-format", "json"]
    text = f"The cat\nThe cat\t{LONG}\n".encode()
    status, out, told = run(long, text)
    assert (status, told) == (0, f"int8ref: line 2, {message}\n")
    short, cut = (json.loads(line) for line in out.splitlines())
    assert (short["truncated"], cut["truncated"]) == (False, True)
    begun = processor().encode(LONG, out_type=str)[: POSITIONS - 1]
    assert cut["tokens"][: POSITIONS - 1] == begun
    assert len(cut["tokens"]) <= POSITIONS
    status, out, told = run([*long, "--strict"], text)
    assert (status, told) == (1, f"int8ref: error: line 2, {message}; --strict ends the run\n")
    assert run([*long, "--backend", "compiled"], text)[:2] == run(long, text)[:2]


def test_limits_count_the_prefix(tiny: Command) -> None:
    """At least one token follows a prefix of any length."""
    count = len(processor().encode(PREFIX))
    for most, length in ((1, count + 1), (count, count + 1), (count + 3, count + 3)):
        options = ["--output-format", "json", "--max-length", str(most), "--target-prefix", PREFIX]
        (found,) = run([*tiny, *options, LINES[3]])[1].splitlines()
        assert len(json.loads(found)["tokens"]) == length


def test_the_signature_names_the_prefix(tiny: Command) -> None:
    _, out, _ = run([*tiny, "--signature", "--target-prefix", PREFIX])
    assert f"|target-prefix:{PREFIX}".encode() in out
    assert b"target-prefix" not in run([*tiny, "--signature"])[1]


@pytest.mark.parametrize(
    ("prefix", "message"),
    [(b"O\xff", "text in UTF-8 is wanted"), (b"O\ngato", "text of one line is wanted")],
)
@pytest.mark.parametrize("more", [["The cat"], ["--signature"]])
def test_what_is_no_line_is_wrong_usage(
    tiny: Command, prefix: bytes, message: str, more: Command
) -> None:
    status, out, told = run([*tiny, "--target-prefix", prefix, *more])
    assert (status, out) == (2, b"")
    assert f"argument --target-prefix: {message}\n" in told


def test_what_the_vocabulary_lacks_of_a_prefix_is_told(tiny: Command) -> None:
    """It is counted once a line, for any number of translations."""
    options = ["-b", "4", "--n-best", "3", "--output-format", "json"]
    status, out, told = run([*tiny, *options, "--target-prefix", "O {gato}"], b"The cat\na\n")
    assert status == 0
    assert "the model's vocabulary lacks 4 characters in 2 lines" in told
    for document in map(json.loads, out.splitlines()):
        for translation in document["translations"]:
            places = translation["unknown"]
            assert [text for _, text in places] == ["{", "}"]
            assert {translation["tokens"][place] for place, _ in places} == {"<unk>"}


def test_from_python(translator: Translator) -> None:
    """One option for all sentences, or pairs of a sentence and its prefix."""
    options = Options(beam_size=3, n_best=2, scores=True, alignment="hard")
    everywhere = replace(options, target_prefix=PREFIX)
    found = translator.translate(LINES, everywhere)
    pairs = [(line, PREFIX) for line in LINES]
    assert translator.translate(pairs, options) == found
    lists: Any = [[*pair] for pair in pairs]
    assert translator.translate(lists, options) == found
    assert list(translator.stream(iter(pairs), options)) == found
    assert [translator.translate(line, everywhere) for line in LINES] == found
    assert [result.source for result in found] == LINES
    for result in found:
        for translation in result.translations:
            assert translation.text.startswith(PREFIX if result.source else "")
    assert found[1].text == ""


def test_pairs_beside_sentences(translator: Translator) -> None:
    options = Options(target_prefix="A dog")
    mixed: list[Line] = ["The cat", ("The cat", "O gato"), ("The cat", ""), "", ("", "O gato")]
    found = translator.translate(mixed, options)
    assert list(translator.stream(iter(mixed), options)) == found
    wanted = translated(
        [("The cat", "A dog"), ("The cat", "O gato"), ("The cat", ""), ("", ""), ("", "")]
    )
    assert [result.text for result in found] == wanted
    assert found[2] == translator.translate("The cat")


def test_a_pair_at_the_top_is_two_sentences(translator: Translator) -> None:
    found: list[Result] = translator.translate(("The cat", "O gato"))
    assert found == translator.translate(["The cat", "O gato"])


def test_texts_that_differ_after_the_prefix_are_distinct(translator: Translator) -> None:
    options = Options(beam_size=8, n_best=8, target_prefix=PREFIX, max_length=5)
    every = [t.text for t in translator.translate("The cat", options).translations]
    some = translator.translate("The cat", replace(options, distinct=True)).translations
    assert [t.text for t in some] == list(dict.fromkeys(every))
    assert len(some) > 1


def test_scores_are_of_what_follows(translator: Translator) -> None:
    """The scores equal the scores of the whole translation, token by token."""
    options, same = Options(scores=True, target_prefix=PREFIX), 0
    for line in filter(None, LINES):
        result = translator.translate(line, options)
        best = result.best
        assert best.scores is not None
        whole = translator.score(line, result.text).best
        if whole.ids == best.ids:  # else the tokenizer cuts the text into other tokens
            assert whole.scores is not None
            after = whole.scores.tokens[len(processor().encode(PREFIX)) :]
            assert after[: len(best.scores.tokens)] == best.scores.tokens
            same += 1
    assert same


@pytest.mark.parametrize("value", [b"O", None, 5, ["O"], ("O", "gato")], ids=repr)
def test_what_is_no_prefix(translator: Translator, value: Any) -> None:
    with pytest.raises(int8ref.OptionError, match=r"target_prefix is .*, not a str"):
        Options(target_prefix=value)
    calls: list[Any] = [translator.translate, lambda lines: list(translator.stream(lines))]
    for call in calls:
        with pytest.raises(int8ref.UserError, match=r"(text|lines)\[1\]\[1\] is .*, not a str"):
            call(["a", ("a", value)])
        with pytest.raises(int8ref.UserError, match=r"(text|lines)\[1\]\[0\] is .*, not a str"):
            call(["a", (value, "a")])


@pytest.mark.parametrize("line", [("a",), ("a", "b", "c"), [], {"a": "b"}], ids=repr)
def test_what_is_no_pair(translator: Translator, line: Any) -> None:
    lines: list[Any] = ["a", line]
    with pytest.raises(int8ref.UserError, match=r"text\[1\] is .*, not a str") as caught:
        translator.translate(lines)
    assert isinstance(caught.value, TypeError)
