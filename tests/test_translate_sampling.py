"""Drawn translations: the command and Python give the results of the engine."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest

import int8ref
from int8ref.engines.backends import load_engine
from int8ref.options import Options
from int8ref.program.sizes import max_target_length
from int8ref.search import BeamOptions, Hypothesis, Sampling
from int8ref.text.decimals import natural_log
from int8ref.text.tokenizers import build_tokenizer
from int8ref.translator import Translator
from tests.helpers.engines import requests, score
from tests.helpers.models import build_tiny_model
from tests.helpers.processes import Command, run

LINES = ["The cat sat on the mat.", "", "a", "We like to eat red fish; do you?", "The cat sat"]
TEXT = "".join(f"{line}\n" for line in LINES).encode()
MODEL = build_tiny_model(2)
TOKENIZER = build_tokenizer(MODEL.target, len(MODEL.tensors["embeddings"]))
STREAMS = 64
"""Number of streams of random numbers of a line: the largest number of drawn translations."""


@pytest.fixture
def tiny(tiny_file: Path) -> Command:
    return [sys.executable, "-m", "int8ref.translate", "-m", tiny_file, "--temperature", "0.7"]


@cache
def drawn(count: int, sampling: Sampling) -> list[list[Hypothesis]]:
    """Return the drawn translations of the engine for each line, one at a time."""
    engine = load_engine(MODEL.program, MODEL.tensors, "reference")
    found: list[list[Hypothesis]] = []
    for number, line in enumerate(LINES):
        ids = [*TOKENIZER.encode(line), MODEL.program.eos]
        limit = max_target_length(MODEL.program, MODEL.tensors, len(ids))
        some = []
        for i in range(count if line else 0):
            (target,) = engine.sample(
                requests([ids], [limit], numbers=[number * STREAMS + i]), sampling
            )
            (scored,) = score(engine, [ids], [target], BeamOptions(alpha=MODEL.program.alpha))
            if len(target) == limit:  # there is no eos
                scored = Hypothesis(scored.ids, scored.tokens[:-1], 0, False)
            some.append(scored)
        found.append(some)
    return found


@pytest.mark.parametrize("backend", ["compiled", "reference"])
@pytest.mark.parametrize(("batch", "threads"), [(1, 1), (2, 3), (32, 1)])
def test_the_command_draws_what_the_engine_draws(
    tiny: Command, backend: str, batch: int, threads: int
) -> None:
    options = ["--seed", "5", "--top-k", "9", "--backend", backend]
    speed = ["--batch-size", str(batch), "--threads", str(threads)]
    wanted = [
        TOKENIZER.decode(list(some[0].ids)) if some else ""
        for some in drawn(1, Sampling(70, 9, seed=5))
    ]
    status, told, errors = run([*tiny, *options, *speed, "-q"], TEXT)
    assert (status, errors) == (0, "")
    assert told.decode().split("\n")[:-1] == wanted


def test_several_are_drawn_and_scored() -> None:
    translator = Translator(MODEL, "compiled")
    options = Options(temperature="0.7", seed=5, n_best=3, scores=True)
    results = translator.translate(LINES, options)
    assert [len(result.translations) for result in results] == [3, 1, 3, 3, 3]
    different = 0
    for result, wanted in zip(results, drawn(3, Sampling(70, seed=5)), strict=True):
        for translation, hypothesis in zip(result.translations, wanted, strict=bool(wanted)):
            assert translation.ids == hypothesis.ids
            assert translation.scores is not None
            assert translation.scores.complete == hypothesis.complete
            assert translation.scores.tokens == tuple(map(natural_log, hypothesis.tokens))
            if hypothesis.complete:
                assert translation.scores.score == natural_log(hypothesis.score)
        different += len({translation.ids for translation in result.translations}) - 1
    assert different > 2


def test_one_of_several_is_that_of_one() -> None:
    translator = int8ref.load("en-de-tatoeba", batch_size=2)
    lines = ["Where is the nearest station?", "Good morning.", "Tom sings."] * 2
    one = translator.translate(lines, Options(temperature=1, seed=2))
    several = translator.translate(lines, Options(temperature=1, seed=2, n_best=4))
    assert [a.text for a in one] == [b.text for b in several]
    assert one[0].text != one[3].text or one[1].text != one[4].text  # the line counts, not the text
    other = translator.translate(lines, Options(temperature=1, seed=3))
    assert [a.text for a in one] != [b.text for b in other]


def test_a_low_temperature_is_greedy() -> None:
    translator = int8ref.load("en-de-tatoeba")
    lines = ["Where is the nearest station?", "Good morning.", "I have two brothers."]
    cold = translator.translate(lines, Options(temperature="0.01"))
    assert [a.text for a in cold] == [b.text for b in translator.translate(lines)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--beam-size", "4"], "--beam-size and --temperature exclude each other"),
        (["--shortlist"], "--shortlist and --temperature exclude each other"),
        (["--top-p", "0"], "top_p is '0', not a number from 0.01 to 1"),
        (["--seed", "-1"], "-1 is not between 0 and 2^63 - 1"),
        (["--n-best", "2", "--output-format", "text"], "needs another --output-format than text"),
    ],
)
def test_refuses(tiny: Command, options: list[str], message: str) -> None:
    status, told, errors = run([*tiny, *options], TEXT)
    assert (status, told) == (2, b"")
    assert message in errors


def test_the_signature_tells_how(tiny: Command) -> None:
    _, told, _ = run([*tiny, "--seed", "4", "--signature"])
    assert b"|temperature:0.7|top-k:0|top-p:1|seed:4" in told
    _, plain, _ = run([*tiny[:-2], "--signature"])
    assert b"beam-size:1" in plain
    assert b"temperature" not in plain
