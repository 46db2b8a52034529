"""The service: completions, chats and embeddings in the form of OpenAI's interface."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from int8ref import Encoder, LanguageModel, Options
from int8ref.files.model_file import load
from tests.helpers.models import SENTENCES
from tests.helpers.served_models import LANGUAGE_MODEL, TRANSLATORS, files
from tests.helpers.services import Service, serving

pytest.importorskip("uvicorn", reason="the extra serve is absent")
pytest.importorskip("jinja2", reason="chat templates need the extra chat")
MODEL = "tiny-rotary"
MESSAGES = [{"role": "user", "content": "The cat sat."}]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return files(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def service(models: dict[str, Path]) -> Iterator[Service]:
    options = [f"-m{path}" for path in models.values()]
    with serving(*options, "--max-texts=40", "--threads=2") as found:
        yield found


def test_models(service: Service) -> None:
    names = [one["id"] for one in service.json("/v1/models")["data"]]
    assert names == [*TRANSLATORS, MODEL, "tiny-embedding"]


@pytest.mark.parametrize("stream", [False, True])
def test_completions_are_those_of_the_command(service: Service, stream: bool) -> None:
    """Greedy, and drawn: the text number of choice i is i."""
    prompts = ["The cat", "O gato", ""]
    model, greedy = LanguageModel(LANGUAGE_MODEL), {"temperature": 0}
    drawn = {"temperature": 1.5, "top_p": 0.9, "seed": 3}
    for asked, options, n in (
        (greedy, Options(max_length=20), 1),
        (drawn, Options(max_length=20, temperature=1.5, top_p=0.9, seed=3), 2),
    ):
        body = {"model": MODEL, "prompt": prompts, "max_tokens": 20, "n": n, **asked}
        found = completed(service, {**body, "echo": True}, stream)
        results = model.generate([p for p in prompts for _ in range(n)], options)
        assert [text for text, _ in found] == [
            result.prompt + result.text.removeprefix(read(model, result.prompt))
            for result in results
        ]
        assert [reason for _, reason in found] == [
            "stop" if result.complete else "length" for result in results
        ]


def read(model: LanguageModel, prompt: str) -> str:
    """Return the text of the tokens of a prompt."""
    return model.continuation(model.prompt(prompt), (), complete=False).text


def completed(service: Service, body: dict[str, Any], stream: bool) -> list[tuple[str, str]]:
    """Return the text and the reason of the end of each choice."""
    if not stream:
        choices = service.json("/v1/completions", body)["choices"]
        return [(choice["text"], choice["finish_reason"]) for choice in choices]
    status, headers, content = service.ask("/v1/completions", {**body, "stream": True})
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    *events, last, rest = content.decode().split("\n\n")
    assert (last, rest) == ("data: [DONE]", "")
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for event in events:
        (choice,) = json.loads(event.removeprefix("data: "))["choices"]
        index = choice["index"]
        assert index not in reasons
        texts[index] = texts.get(index, "") + choice["text"]
        if choice["finish_reason"]:
            reasons[index] = choice["finish_reason"]
    return [(texts[index], reasons[index]) for index in sorted(texts)]


def test_usage_counts_tokens(service: Service) -> None:
    body = {"model": MODEL, "prompt": "The cat", "temperature": 0, "max_tokens": 9}
    usage = service.json("/v1/completions", body)["usage"]
    model = LanguageModel(LANGUAGE_MODEL)
    added = len(model.generate("The cat", Options(max_length=9)).ids)
    read = len(model.prompt("The cat").ids)
    assert usage == {
        "prompt_tokens": read, "completion_tokens": added, "total_tokens": read + added
    }  # fmt: skip
    _, _, content = service.ask(
        "/v1/completions", {**body, "stream": True, "stream_options": {"include_usage": True}}
    )
    assert json.loads(content.split(b"\n\n")[-3].removeprefix(b"data: "))["usage"] == usage


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_ends_a_text(service: Service, stream: bool) -> None:
    body = {"model": MODEL, "prompt": "The cat", "temperature": 0, "max_tokens": 30}
    ((whole, _),) = completed(service, body, stream=False)
    stop = whole[5:7]
    found = completed(service, {**body, "stop": ["never in it", stop]}, stream)
    assert found == [(whole[: whole.index(stop)], "stop")]


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"model": "none"}, 404, "no such model 'none'"),
        ({"model": "tiny-embedding"}, 404, "no such model"),
        ({"model": MODEL, "logprobs": 1, "echo": True}, 400, "logprobs with echo"),
        ({"model": MODEL, "logprobs": 65}, 400, "`$.logprobs`"),
        ({"model": MODEL, "suffix": "x"}, 400, "suffix is not supported"),
        ({"model": MODEL, "best_of": 2}, 400, "best_of is not supported"),
        ({"model": MODEL, "logit_bias": {"9999": 1}}, 400, "no token 9999"),
        ({"model": MODEL, "logit_bias": {"x": 1}}, 400, "`$.logit_bias"),
        ({"model": MODEL, "logit_bias": {"3": 101}}, 400, "logit_bias"),
        ({"model": MODEL, "presence_penalty": 101}, 400, "presence_penalty"),
        ({"model": MODEL, "n": 41}, 413, "the most are 40"),
        ({"model": MODEL, "max_tokens": 0}, 400, "`$.max_tokens`"),
        ({"model": MODEL, "temperature": 0.001}, 400, "temperature"),
        ({"model": MODEL, "stop": ""}, 400, "stop has"),
        ({"model": MODEL, "prompt": [[1, 2]]}, 400, "`$.prompt[0]`"),
    ],
)
def test_errors_of_openai(service: Service, body: Any, status: int, told: str) -> None:
    error = service.json("/v1/completions", body, status)["error"]
    assert told in error["message"]
    assert set(error) == {"message", "type", "param", "code"}


def test_embeddings_are_unit_vectors(service: Service, models: dict[str, Path]) -> None:
    encoder = Encoder(load(models["tiny-embedding"]))
    vectors = encoder.embed(SENTENCES)
    body = {"model": "tiny-embedding", "input": SENTENCES}
    found = service.json("/v1/embeddings", body)
    exact = np.array([one["embedding"] for one in found["data"]])
    assert np.abs(exact - vectors / encoder.length).max() < 1e-9
    coded = service.json("/v1/embeddings", {**body, "encoding_format": "base64"})
    floats = [np.frombuffer(base64.b64decode(one["embedding"]), "<f4") for one in coded["data"]]
    assert (np.array(floats) == (vectors / encoder.length).astype("<f4")).all()
    assert found["usage"]["total_tokens"] > 0


ADJUSTED: list[dict[str, Any]] = [
    {"logit_bias": {"37": -2.5, "7": -100}, "presence_penalty": 0.5},
    {"frequency_penalty": 1.25, "temperature": 1.5, "min_p": 0.05, "seed": 4},
    {"repetition_penalty": 1.3, "temperature": 2, "top_k": 9, "stop": ["ca", "s"]},
    {"stop": ["never in it", "a"], "logit_bias": {"37": -3}},
]


@pytest.mark.parametrize("stream", [False, True])
def test_all_options_are_those_of_the_language_model(service: Service, stream: bool) -> None:
    """Options that adjust logits, in batches that other options share."""
    model = LanguageModel(LANGUAGE_MODEL)
    for given in ADJUSTED:
        body = {"model": MODEL, "prompt": ["The cat", "O"], "max_tokens": 30, "temperature": 0}
        found = completed(service, {**body, **given}, stream)
        bias = {int(token): value for token, value in given.get("logit_bias", {}).items()}
        options = Options(**{**given, "logit_bias": bias, "max_length": 30})
        results = model.generate(["The cat", "O"], options)
        plain = model.generate(["The cat", "O"], Options(max_length=30))
        assert found == [(one.added, "stop" if one.complete else "length") for one in results]
        assert [one.ids for one in results] != [one.ids for one in plain]


@pytest.mark.parametrize("given", [{"temperature": 0}, {"temperature": 2, "seed": 3}])
def test_log_probabilities(service: Service, given: dict[str, Any]) -> None:
    """The most likely tokens are those of `generate`; the others are those of `score`."""
    body = {"model": MODEL, "prompt": "The cat", "max_tokens": 12, **given, "logprobs": 3}
    (choice,) = service.json("/v1/completions", body)["choices"]
    model = LanguageModel(LANGUAGE_MODEL)
    drawn = given if given["temperature"] else {}
    result = model.generate("The cat", Options(max_length=12, top_logprobs=3, **drawn))
    found = choice["logprobs"]
    assert result.likeliest
    assert found["tokens"] == [*result.tokens]
    for token, log, top, steps in zip(
        result.ids, found["token_logprobs"], found["top_logprobs"], result.likeliest, strict=False
    ):
        assert top == {one.token: float(one.log_probability) for one in steps}
        known = [float(one.log_probability) for one in steps if one.id == token]
        assert known in ([], [log])
        assert log <= max(top.values())
    (plain,) = service.json("/v1/completions", {**body, "logprobs": 0})["choices"]
    assert plain["logprobs"] == {**found, "top_logprobs": None}
    chat = {"model": MODEL, "messages": MESSAGES, "max_tokens": 4, "logprobs": True}
    (reply,) = service.json("/v1/chat/completions", {**chat, "top_logprobs": 2})["choices"]
    assert len(reply["logprobs"]["content"]) == 4
    assert all(len(one["top_logprobs"]) == 2 for one in reply["logprobs"]["content"])


def test_chats_are_those_of_the_language_model(service: Service) -> None:
    """Whole, and as a stream."""
    model = LanguageModel(LANGUAGE_MODEL)
    wanted = model.chat(MESSAGES, Options(max_length=20))
    parts = [{"role": "user", "content": [{"type": "text", "text": "The cat sat."}]}]
    body = {"model": MODEL, "messages": parts, "max_tokens": 20, "temperature": 0}
    answer = service.json("/v1/chat/completions", body)
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": wanted.added}
    assert choice["finish_reason"] == "length"
    assert answer["object"] == "chat.completion"
    assert answer["usage"]["prompt_tokens"] == len(model.chat_prompt(MESSAGES).ids)
    drawn = {**body, "temperature": 1, "n": 2, "seed": 5, "stream": True}
    _, _, content = service.ask("/v1/chat/completions", drawn)
    *events, last, rest = content.decode().split("\n\n")
    assert (last, rest) == ("data: [DONE]", "")
    texts = {0: "", 1: ""}
    for event in events:
        part = json.loads(event.removeprefix("data: "))
        assert part["object"] == "chat.completion.chunk"
        (one,) = part["choices"]
        assert (one["delta"].get("role") == "assistant") == (not texts[one["index"]])
        texts[one["index"]] += one["delta"]["content"]
    options = Options(max_length=20, temperature=1, seed=5)
    found = [*model.batches([MESSAGES, MESSAGES], options)]
    assert [*texts.values()] == [one.added for some in found for one in some]


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"messages": []}, 400, "at least one"),
        ({"messages": [{"role": "user", "content": "a</s>b"}]}, 400, "special token '</s>'"),
        ({"messages": [{"role": "</s>", "content": "a"}]}, 400, "`$.messages[0].role`"),
        ({"messages": [{"role": "user"}]}, 400, "content"),
        ({"tools": [{"type": "function"}]}, 400, "tools is not supported"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format"),
        ({"top_logprobs": 2}, 400, "needs logprobs"),
        ({"model": "tiny-translation"}, 404, "no such model"),
    ],
)
def test_errors_of_chats(service: Service, change: dict[str, Any], status: int, told: str) -> None:
    body = {"model": MODEL, "messages": MESSAGES, **change}
    assert told in service.json("/v1/chat/completions", body, status)["error"]["message"]
