"""The command with a beam: lists, scores and alignments equal the results of the engine."""

from __future__ import annotations

import json
import re
import sys
from decimal import Context, Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from int8ref.engines.backends import load_engine
from int8ref.program.sizes import max_target_length
from int8ref.search import BeamOptions, Hypothesis
from tests.helpers.engines import requests
from tests.helpers.models import build_tiny_model
from tests.helpers.processes import Command, run

LINES = ["The cat sat on the mat.", "", "a", "We like to eat red fish; do you?", "O sol nasceu"]
TEXT = "".join(f"{line}\n" for line in LINES).encode()
MODEL = build_tiny_model(2)
LN2 = Context(prec=60).ln(2)
POINTS = re.compile(r"(\d+-\d+( \d+-\d+)*)?")


@pytest.fixture
def tiny(tiny_file: Path) -> Command:
    command: Command = [sys.executable, "-m", "int8ref.translate", "-m", tiny_file]
    return [*command, "--backend", "reference", "--threads", "2"]


def processor() -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=MODEL.source.model)


@cache
def searched(size: int, n_best: int) -> list[list[Hypothesis]]:
    """Return the results of the engine for each line, one sentence at a time."""
    engine = load_engine(MODEL.program, MODEL.tensors, "reference")
    options = BeamOptions(beam_size=size, n_best=n_best)
    found = []
    for line in LINES:
        ids = [*processor().encode(line), MODEL.program.eos]
        limit = max_target_length(MODEL.program, MODEL.tensors, len(ids))
        certain = [Hypothesis((), (), 0, True)]
        found.append(engine.beam(requests([ids], [limit]), options)[0] if line else certain)
    return found


def nats(log2: int) -> str:
    """Convert a logarithm of base 2, in units of 2^-20, to a natural logarithm, by division."""
    exact = LN2 * log2 / 2**20
    return format(exact.quantize(Decimal("1e-6")) + 0, ".6f")


def text_of(hypothesis: Hypothesis) -> str:
    text: str = processor().decode(list(hypothesis.ids))
    return text


def cut(hypothesis: Hypothesis) -> str:
    return "" if hypothesis.complete else " Cut= 1"


def lists(size: int, n_best: int) -> bytes:
    """Return n-best lists in the format of Moses."""
    return "".join(
        f"{number} ||| {text_of(h)} ||| F0= {nats(sum(h.tokens))}{cut(h)} ||| {nats(h.score)}\n"
        for number, some in enumerate(searched(size, n_best))
        for h in some
    ).encode()


def test_lists_are_the_engines(tiny: Command) -> None:
    """The lists are in the order of the lines, each list best first."""
    found = run([*tiny, "-b", "4", "--n-best", "3"], TEXT)
    assert found == (0, lists(4, 3), "")
    numbers = [int(line.split(b" ")[0]) for line in found[1].splitlines()]
    assert numbers == [0, 0, 0, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]


@pytest.mark.parametrize(
    "speed",
    [
        ["--batch-size", "1", "--threads", "1"],
        ["--batch-size", "3", "--buffer-size", "1"],
        ["--batch-size", "64", "--threads", "3", "--buffer-size", "4"],
    ],
)
def test_batches_and_threads_change_no_score(tiny: Command, speed: list[str]) -> None:
    assert run([*tiny, "-b", "4", "--n-best", "3", *speed], TEXT) == (0, lists(4, 3), "")


def test_the_order_of_lines_changes_no_score(tiny: Command) -> None:
    wanted = lists(4, 3).decode().splitlines()
    text = "".join(f"{line}\n" for line in reversed(LINES)).encode()
    _, out, _ = run([*tiny, "-b", "4", "--n-best", "3"], text)
    backwards: list[list[str]] = [[] for _ in LINES]
    for line in out.decode().splitlines():
        number, rest = line.split(" ", 1)
        backwards[len(LINES) - 1 - int(number)].append(rest)
    assert [line.split(" ", 1)[1] for line in wanted] == [x for some in backwards for x in some]


@pytest.mark.parametrize("size", ["1", "4"])
def test_both_backends_give_the_same_bytes(tiny: Command, size: str) -> None:
    options = ["-b", size, "--output-format", "nbest", "--n-best", size]
    options += ["--scores=token", "--alignment=soft"]
    golden = run([*tiny, *options], TEXT)
    assert golden[0] == 0
    assert run([*tiny, *options, "--backend", "compiled"], TEXT)[:2] == golden[:2]


def test_a_beam_of_one_is_greedy_search(tiny: Command) -> None:
    """The fast search without scores equals the search with scores."""
    status, out, errors = run([*tiny, "--scores"], TEXT)
    assert (status, errors) == (0, "")
    greedy = [line.split(" ||| ")[0] for line in out.decode().splitlines()]
    assert run(tiny, TEXT)[1].decode().splitlines() == greedy
    assert [text_of(some[0]) for some in searched(1, 1)] == greedy


def test_text_with_scores_and_alignment(tiny: Command) -> None:
    _, out, _ = run([*tiny, "-b", "4", "--scores=token", "--alignment"], TEXT)
    for line, (best, *_) in zip(out.decode().splitlines(), searched(4, 1), strict=True):
        text, points, words, total, score = line.split(" ||| ")
        assert text == text_of(best)
        assert POINTS.fullmatch(points)
        assert [p.split("-")[1] for p in points.split()] == [str(i) for i in range(len(best.ids))]
        assert words.split() == ["WordScores=", *map(nats, best.tokens)]
        assert (total, score) == (f"F0= {nats(sum(best.tokens))}", nats(best.score))


@pytest.mark.parametrize("n_best", [None, "2"])
def test_json(tiny: Command, n_best: str | None) -> None:
    options = ["-b", "4", "--output-format", "json", "--scores=token", "--alignment=soft"]
    options += ["--n-best", n_best] if n_best else []
    status, out, _ = run([*tiny, *options], TEXT)
    assert status == 0
    documents = [json.loads(line, parse_float=str) for line in out.splitlines()]
    assert [d["id"] for d in documents] == list(range(len(LINES)))
    assert [d["source"] for d in documents] == LINES
    for document, some in zip(documents, searched(4, int(n_best or 1)), strict=True):
        listed: list[Any] = document["translations"] if n_best else [document]
        assert len(listed) == len(some)
        for found, hypothesis in zip(listed, some, strict=True):
            assert found["text"] == text_of(hypothesis)
            assert found["tokens"] == [processor().id_to_piece(i) for i in hypothesis.ids]
            assert found["log_probability"] == nats(sum(hypothesis.tokens))
            assert found["token_scores"] == list(map(nats, hypothesis.tokens))
            assert found["complete"] is hypothesis.complete
            columns = {len(row) for row in found["alignment_weights"]}
            assert columns <= {len(document["source_tokens"]) + 1}
            for (source, _), row in zip(
                found["alignment"], found["alignment_weights"], strict=True
            ):
                assert Decimal(row[source]) == max(map(Decimal, row[:-1]))


def test_plain_json_tells_text_and_tokens(tiny: Command) -> None:
    _, out, _ = run([*tiny, "--output-format", "json", "The cat"])
    assert set(json.loads(out)) == {"id", "source", "source_tokens", "truncated", "text", "tokens"}


def test_normalization_changes_the_score_and_not_the_sum(tiny: Command) -> None:
    sums, scores = set(), set()
    for options in (["none"], ["length"], ["length", "--alpha", "0.5"], ["gnmt"]):
        _, out, _ = run([*tiny, "--scores", "--normalization", *options, LINES[0]])
        _, total, score = out.decode().rstrip("\n").split(" ||| ")
        sums.add(total)
        scores.add(score)
        assert (total == f"F0= {score}") == (options == ["none"])
    assert (len(sums), len(scores)) == (1, 4)


@pytest.mark.parametrize("scores", [[], ["--scores"]])
def test_max_length_cuts_greedy_search_short(tiny: Command, scores: list[str]) -> None:
    _, out, _ = run([*tiny, "--output-format", "json", "--max-length", "2", *scores], TEXT)
    for line, (greedy,) in zip(out.splitlines(), searched(1, 1), strict=True):
        found = json.loads(line)
        pieces = [processor().id_to_piece(i) for i in greedy.ids]
        assert found["tokens"] == pieces[:2]
        assert found.get("complete", len(pieces) < 2) is (len(pieces) < 2)


def test_stats_are_told_on_stderr_even_if_quiet(tiny: Command) -> None:
    long = b"the cat sat " * 40 + b"\n"
    plain = run([*tiny, "--quiet"], TEXT + long)
    status, out, errors = run([*tiny, "--quiet", "--stats"], TEXT + long)
    assert (status, out) == plain[:2]
    tokens = sum(len(processor().encode(line)) for line in LINES) + 63
    wanted = rf"int8ref: 6 lines \(1 cut\), {tokens} source tokens, \d+ target tokens in [\d.]+ s: "
    assert re.fullmatch(wanted + r"[\d.]+ lines/s, [\d.]+ target tokens/s\n", errors)


@pytest.mark.parametrize(
    ("level", "told"),
    [("debug", "a debug\nb info\nc warning\n"), ("info", "b info\nc warning\n"),
     ("warning", "c warning\n"), ("error", "")],
)  # fmt: skip
def test_levels_hold_for_the_library_too(level: str, told: str) -> None:
    """The message about compiling is such a message of the library."""
    program = (
        "import logging\nfrom int8ref.commands.console import Console\n"
        f"console = Console('{level}')\n"
        "log = logging.getLogger('int8ref.machine.toolchain.native')\n"
        "log.debug('a debug'), console.info('b info'), log.warning('%s warning', 'c')\n"
        "console.error('it failed')"
    )
    status, out, errors = run([sys.executable, "-c", program])
    assert (status, out) == (0, b"")
    assert errors.replace("int8ref: ", "") == told + "error: it failed\n"


def test_debug_tells_the_model(tiny: Command, tiny_file: Path) -> None:
    _, _, errors = run([*tiny, "--log-level", "debug", "a"])
    assert f"model tiny from {tiny_file}" in errors
