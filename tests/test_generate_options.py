"""Options of continuations: beams, stop texts, adjustments, likeliest tokens, streams, receipts."""

from __future__ import annotations

import dataclasses
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref import Continuation, LanguageModel, OptionError, Options, Speed
from int8ref.engines.backends import load_engine
from int8ref.errors import UserError
from int8ref.files.model_file import save
from int8ref.search import BeamOptions
from int8ref.search.request import Request
from int8ref.text.decimals import natural_log
from int8ref.text.tokenizers import build_tokenizer
from int8ref.translation.continuing import settled_text, stop_place
from int8ref.translation.writing import held
from tests.helpers.machine_text import machine_text
from tests.helpers.models import SENTENCES, build_tiny_model
from tests.helpers.processes import Command, run

MODEL = build_tiny_model(9, "rotary")
TOKENIZER = build_tokenizer(MODEL.target, len(MODEL.tensors["embeddings"]))
TEXTS = [*SENTENCES[:3], ""]
OPTIONS = {
    "beam": Options(beam_size=4, n_best=3, scores=True, max_length=9),
    "drawn": Options(temperature=1.5, n_best=3, seed=4, min_p=0.05, max_length=9),
    "adjusted": Options(
        repetition_penalty=1.3, presence_penalty=0.5, frequency_penalty="0.25", min_length=4,
        no_repeat_ngram=2, logit_bias={5: -2, 6: 1.5}, suppress_tokens=[3], max_length=12,
    ),
    "likely": Options(top_logprobs=3, max_length=5),
    "choices": Options(choices=["a", "The", "no"], max_length=9),
}  # fmt: skip


def made(backend: Any, speed: Speed, options: Options) -> list[Continuation]:
    machine_text()
    return LanguageModel(MODEL, backend, speed).generate(TEXTS, options)


@pytest.mark.parametrize("name", OPTIONS)
def test_neither_backend_nor_batches_change_it(name: str) -> None:
    wanted = made("reference", Speed(8), OPTIONS[name])
    for speed in (Speed(1), Speed(3, 2)):
        assert made("compiled", speed, OPTIONS[name]) == wanted


def test_a_beam_is_the_engines() -> None:
    engine = load_engine(MODEL.program, MODEL.tensors, "reference")
    for text, result in zip(TEXTS, made("compiled", Speed(), OPTIONS["beam"]), strict=True):
        options = BeamOptions(4, 3, "length", MODEL.program.alpha)
        (beam,) = engine.beam([Request((), 9, TOKENIZER.encode(text))], options)
        several = [result, *result.others]
        assert [one.ids for one in several] == [h.ids for h in beam]
        scores = [one.scores.log_probability for one in several if one.scores]
        assert scores == [natural_log(sum(h.tokens)) for h in beam]


def test_the_first_drawn_is_the_only_one_without_n_best() -> None:
    alone = made("compiled", Speed(), dataclasses.replace(OPTIONS["drawn"], n_best=1))
    several = made("compiled", Speed(), OPTIONS["drawn"])
    assert [result.ids for result in several] == [result.ids for result in alone]
    assert any(len({r.ids, *(other.ids for other in r.others)}) > 1 for r in several)


def test_likeliest_tokens_are_the_logits() -> None:
    engine = load_engine(MODEL.program, MODEL.tensors, "reference")
    for text, result in zip(TEXTS, made("compiled", Speed(), OPTIONS["likely"]), strict=True):
        session = engine.session([[]])
        ids = [MODEL.program.start, *TOKENIZER.encode(text), *result.ids]
        rows = [session.step(np.array([token], np.int32))[0] for token in ids]
        assert result.likeliest is not None
        assert len(result.likeliest) == len(result.ids) + result.complete
        rows = rows[-len(result.ids) - 1 :]
        for step, row in zip(result.likeliest, rows, strict=False):
            order = sorted(range(len(row)), key=lambda n, row=row: (-int(row[n]), n))[:3]
            log2 = MODEL.program.softmax.of(row[None])[0]
            assert [(t.id, t.logit) for t in step] == [(n, int(row[n])) for n in order]
            assert [t.log_probability for t in step] == [natural_log(int(log2[n])) for n in order]


def test_stop_texts_end_where_they_begin() -> None:
    whole = made("compiled", Speed(), Options(max_length=12))
    longest = max(whole, key=lambda result: len(result.added))
    stop = longest.added[len(longest.added) // 2 :][:2]
    found = made("reference", Speed(), Options(max_length=12, stop=[stop, "\0never"]))
    assert found == made("compiled", Speed(2), Options(max_length=12, stop=[stop, "\0never"]))
    assert any(result.stopped for result in found)
    for before, result in zip(whole, found, strict=True):
        assert result.added == before.added.split(stop)[0]
        assert result.stopped == (stop if stop in before.added else None)
        assert before.ids[: len(result.ids)] == result.ids
        if result.stopped:
            assert result.complete
            assert stop in TOKENIZER.text(result.ids)
            assert stop not in TOKENIZER.text(result.ids[:-1])


@pytest.mark.parametrize("backend", ["compiled", "reference"])
@pytest.mark.parametrize(
    "options",
    [
        Options(max_length=12),
        Options(max_length=12, temperature=2, seed=3),
        Options(max_length=12, repetition_penalty=1.5, no_repeat_ngram=2),
        Options(max_length=12, stop=["e", "on"]),
    ],
    ids=["greedy", "drawn", "adjusted", "stopped"],
)
def test_the_parts_of_a_stream_are_the_text(backend: Any, options: Options) -> None:
    machine_text()
    model = LanguageModel(MODEL, backend)
    for text in TEXTS:
        wanted = model.generate(text, options)
        assert "".join(model.write(text, options)) == wanted.added
        assert wanted.text == TOKENIZER.text(TOKENIZER.encode(text)) + wanted.added


def test_a_stream_may_be_left() -> None:
    machine_text()
    parts = LanguageModel(MODEL).write("The", Options())
    assert next(parts)
    parts.close()  # type: ignore[attr-defined]


@settings(max_examples=30)
@given(st.lists(st.integers(3, TOKENIZER.size - 1), max_size=8), st.integers(0, 3))
def test_settled_text_stays(ids: list[int], size: int) -> None:
    prompt, added = ids[:size], ids[size:]
    whole = TOKENIZER.text([*prompt, *added]).removeprefix(TOKENIZER.text(prompt))
    for count in range(len(added) + 1):
        assert whole.startswith(settled_text(TOKENIZER, prompt, added[:count]))


@given(st.text("ab", max_size=6), st.lists(st.text("ab", min_size=1, max_size=3), max_size=3))
def test_places_of_stops(text: str, stops: list[str]) -> None:
    found = stop_place(text, stops)
    places = [i for i in range(len(text)) if any(text[i:].startswith(stop) for stop in stops)]
    assert (found[0] if found else None) == (places[0] if places else None)
    begun = [n for n in range(1, 3) for s in stops if n < len(s) and text[-n:] == s[:n] and text]
    assert held(text, stops) == max(begun, default=0)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"repetition_penalty": 0}, "repetition_penalty is 0, not a number from 0.01 to 100"),
        ({"presence_penalty": 101}, "presence_penalty is 101"),
        ({"min_length": -1}, "min_length is -1, not from 0 to 8192"),
        ({"logit_bias": 5}, "logit_bias is 5, not a list"),
        ({"logit_bias": {5: 101}}, "logit_bias is 101"),
        ({"suppress_tokens": [-1]}, "-1 is no token id"),
        ({"choices": "a"}, "choices is 'a', not a list"),
        ({"stop": [""]}, "stop has '', not a text"),
        ({"stop": ["a"], "beam_size": 2}, "stop and beam_size exclude each other"),
        ({"choices": ["a"], "shortlist": True}, "choices and shortlist exclude each other"),
        ({"min_p": 0.5}, "min_p does nothing without temperature"),
        ({"top_logprobs": 65}, "top_logprobs is 65, not from 0 to 64"),
    ],
)
def test_what_options_cannot_be(options: dict[str, Any], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        Options(**options)


def test_what_does_not_go_together() -> None:
    model = LanguageModel(MODEL, "reference")
    with pytest.raises(OptionError, match="n_best does nothing here"):
        model.write("a", Options(temperature=1, n_best=2))
    with pytest.raises(OptionError, match="the model has no token 999"):
        model.generate("a", Options(suppress_tokens=[999]))
    with pytest.raises(UserError, match="has no chat template"):
        model.chat([{"role": "user", "content": "a"}])
    assert hash(Options(logit_bias={1: Decimal(1)})) is not None


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    machine_text()
    path = tmp_path_factory.mktemp("generate") / "rotary.safetensors"
    save(path, MODEL)
    return [sys.executable, "-m", "int8ref.generate", "-m", path, "-q"]


def test_the_command(command: Command, tmp_path: Path) -> None:
    """A receipt of a run with lists of options verifies; a stream writes the added text."""
    adjusted: Command = ["--max-tokens", "12", "--repetition-penalty", "1.3", "--stop", "\0"]
    adjusted += ["--logit-bias=5:-2", "--logit-bias=6:1.5", "--suppress-token", "3"]
    wanted = Options(max_length=12, repetition_penalty=1.3, logit_bias={5: -2, 6: 1.5},
                     suppress_tokens=[3])  # fmt: skip
    found = made("compiled", Speed(), wanted)
    lines = "".join(f"{json.dumps({'prompt': text})}\n" for text in TEXTS).encode()
    files: Command = ["--input-format", "json", "--output-format", "json"]
    receipt = tmp_path / "receipt"
    adjusted[adjusted.index("\0")] = "never"
    status, out, told = run([*command, *adjusted, *files, "--receipt", receipt], lines)
    assert (status, told) == (0, "")
    assert [json.loads(line)["text"] for line in out.splitlines()] == [r.text for r in found]
    path = command[4]
    verified = [sys.executable, "-m", "int8ref.verify", receipt, "-m", path]
    status, out, told = run(verified)
    assert (status, out[:9]) == (0, b"accepted:"), told
    status, out, told = run([*command, "--max-tokens", "12", "--stream", TEXTS[0]])
    wanted_text = made("compiled", Speed(), Options(max_length=12))[0].added
    assert (status, out.decode()) == (0, wanted_text + "\n")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--n-best", "2", "a"], 2, "--n-best 2 is more than --beam-size 1"),
        (["-b", "2", "--stop", "x", "a"], 2, "--beam-size and --stop exclude"),
        (["--top-logprobs", "2", "a"], 2, "needs --output-format json"),
        (["--stream", "-b", "2", "a"], 2, "--stream writes text without a beam"),
        (["--logit-bias", "5", "a"], 2, "'5' is not ID:X"),
        (["--suppress-token", "9999", "a"], 2, "the model has no token 9999"),
        (["--chat", "a"], 1, "has no chat template"),
        (["--input-format", "json", "{"], 1, "line 1 is no JSON document"),
        (["--input-format", "json", "{}"], 1, "line 1 has not one of prompt and messages"),
    ],
)
def test_what_the_command_refuses(
    command: Command, arguments: Command, status: int, message: str
) -> None:
    found, _, told = run([*command, *arguments])
    assert found == status
    assert message in told
