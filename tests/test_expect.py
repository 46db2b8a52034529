"""Arguments of a wrong type from Python: the error message names the argument."""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import int8ref
from int8ref import LanguageModel, Options, Translator
from int8ref.options import hundredths
from tests.helpers.models import build_tiny_model

NAN = float("nan")
NO_TEXT = [b"x", None, NAN, {"a": 1}, 5, memoryview(b"a"), object(), {"a"}]
NO_ITEM = [b"x", None, NAN, 5, ["a"]]
LM = LanguageModel(build_tiny_model(4, "decoder"), "reference")


@pytest.fixture(scope="module")
def translator(tiny_file: Path) -> Translator:
    found = int8ref.load(tiny_file, "reference")
    assert isinstance(found, Translator)
    return found


def lazily(lines: list[Any]) -> Iterator[Any]:
    yield from lines


CALLS: dict[str, tuple[str, Callable[[Translator, Any], Any]]] = {
    "translate": ("text", lambda t, x: t.translate(x)),
    "stream": ("lines", lambda t, x: list(t.stream(x))),
    "batches": ("lines", lambda t, x: list(t.batches(x))),
    "score": ("source", lambda t, x: t.score(x, "a")),
    "score of": ("translation", lambda t, x: t.score("a", x)),
    "stream_scores": ("pairs", lambda t, x: list(t.stream_scores(x))),
    "score_batches": ("pairs", lambda t, x: list(t.score_batches(x))),
    "generate": ("text", lambda t, x: LM.generate(x)),
    "stream of texts": ("texts", lambda t, x: list(LM.stream(x))),
    "batches of texts": ("texts", lambda t, x: list(LM.batches(x))),
    "perplexity": ("lines", lambda t, x: LM.perplexity(x)),
    "score of a text": ("text", lambda t, x: LM.score(x)),
}
ITEMS: dict[str, tuple[str, Callable[[Translator, Any], Any]]] = {
    "translate": ("text[1]", lambda t, x: t.translate(["a", x])),
    "stream": ("lines[1]", lambda t, x: list(t.stream(lazily(["a", x])))),
    "batches": ("lines[1]", lambda t, x: list(t.batches(["a", x]))),
    "pair": ("pairs[1]", lambda t, x: list(t.stream_scores([("a", "a"), x]))),
    "pair of": ("pairs[0][1]", lambda t, x: list(t.stream_scores([("a", x)]))),
    "generate": ("text[1]", lambda t, x: LM.generate(["a", x])),
    "stream of texts": ("texts[1]", lambda t, x: list(LM.stream(lazily(["a", x])))),
    "batches of texts": ("texts[1]", lambda t, x: list(LM.batches(["a", x]))),
    "perplexity": ("lines[1]", lambda t, x: LM.perplexity(["a", x])),
}


CONVERSATIONS = "stream of texts", "batches of texts"
"""Here an item may be a list of messages."""
NO_ITEMS = [(c, v) for c in ITEMS for v in NO_ITEM if c not in CONVERSATIONS or v != ["a"]]


def test_a_list_that_is_no_conversation() -> None:
    with pytest.raises(int8ref.UserError, match="message 1 has no text as role"):
        list(LM.batches(["a", ["a"]]))


def name_of(value: object) -> str:
    """Return the repr of a value without its address, which differs between processes."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


@pytest.mark.parametrize("value", NO_TEXT, ids=name_of)
@pytest.mark.parametrize("call", CALLS)
def test_no_text(translator: Translator, call: str, value: Any) -> None:
    name, act = CALLS[call]
    with pytest.raises(int8ref.UserError, match=f"^{name} is .*, not a") as caught:
        act(translator, value)
    assert isinstance(caught.value, TypeError)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("call", "value"), NO_ITEMS, ids=name_of)
def test_no_text_among_texts(translator: Translator, call: str, value: Any) -> None:
    name, act = ITEMS[call]
    with pytest.raises(int8ref.UserError) as caught:
        act(translator, value)
    assert str(caught.value).startswith(f"{name} is ")
    assert isinstance(caught.value, TypeError)


def test_what_comes_before_a_wrong_one_is_given(translator: Translator) -> None:
    results = translator.stream(["The cat", "a", None])  # type: ignore[list-item]
    assert [next(results).source, next(results).source] == ["The cat", "a"]
    with pytest.raises(int8ref.UserError, match=r"lines\[2\] is None"):
        next(results)


@pytest.mark.parametrize("pair", ["ab", ("a",), ("a", "b", "c"), {"a": 1, "b": 2}])
def test_what_is_no_pair(translator: Translator, pair: Any) -> None:
    with pytest.raises(int8ref.UserError, match=r"pairs\[0\] is .*, not a pair of str"):
        list(translator.stream_scores([pair]))


def test_texts_of_numpy_become_texts(translator: Translator) -> None:
    plain = translator.translate(["The cat", "a"])
    found = translator.translate(np.array(["The cat", "a"]))  # type: ignore[call-overload]
    assert found == plain
    assert type(found[0].source) is str
    assert type(translator.translate(np.str_("a")).source) is str


@pytest.mark.parametrize("value", [None, NAN, 5, ["a"], object()], ids=name_of)
def test_load(value: Any) -> None:
    with pytest.raises(int8ref.UserError, match="name_or_path is"):
        int8ref.load(value)


@pytest.mark.parametrize("name", ["", "a\0b", "a" * 5000, "a\udc80"])
def test_load_of_no_file(name: str) -> None:
    with pytest.raises(int8ref.UserError):
        int8ref.load(name)


def test_what_is_not_of_this_package(translator: Translator) -> None:
    for wrong in (
        lambda: translator.translate("a", {"beam_size": 4}),  # type: ignore[call-overload]
        lambda: translator.stream(["a"], None),  # type: ignore[arg-type]
        lambda: translator.score("a", "a", 4),  # type: ignore[arg-type]
        lambda: Translator("model.safetensors"),  # type: ignore[arg-type]
        lambda: Translator(translator.model, "reference", 4),  # type: ignore[arg-type]
        lambda: Translator(translator.model, np.array(["a", "b"])),  # type: ignore[arg-type]
        lambda: LanguageModel("model.safetensors"),  # type: ignore[arg-type]
        lambda: LanguageModel(LM.model, "gpu"),  # type: ignore[arg-type]
        lambda: LanguageModel(LM.model, np.array(["a", "b"])),  # type: ignore[arg-type]
        lambda: LanguageModel(LM.model, "reference", 4),  # type: ignore[arg-type]
        lambda: LM.generate("a", {"temperature": 1}),  # type: ignore[call-overload]
        lambda: LM.stream(["a"], None),  # type: ignore[arg-type]
        lambda: LM.score("a", 4),  # type: ignore[arg-type]
        lambda: LM.perplexity(["a"], "8"),  # type: ignore[arg-type]
        lambda: LM.perplexity(["a"], 8.0),  # type: ignore[arg-type]
    ):
        with pytest.raises(int8ref.UserError):
            wrong()


VALUES = [b"x", NAN, decimal.Decimal("sNaN"), [], {}, np.array([1, 2]), object(), "much", -1]


ALLOWED: dict[str, list[Any]] = {
    **{name: [VALUES[3]] for name in ("suppress_tokens", "choices", "stop")},
    **{name: [VALUES[-1]] for name in ("presence_penalty", "frequency_penalty")},
    "logit_bias": VALUES[3:5],
}
"""Values that an option may have: no tokens, no texts, and penalties below 0."""
TEXTS = "target_prefix", "source_language", "target_language"
WRONG = [
    (name, value)
    for name in Options.__dataclass_fields__
    for value in VALUES
    if name not in TEXTS or not isinstance(value, str)
    if not any(value is allowed for allowed in ALLOWED.get(name, ()))
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=name_of)
def test_options(name: str, value: Any) -> None:
    with pytest.raises(int8ref.UserError, match=f"^{name} is ") as caught:
        Options(**{name: value})
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", ["scores", "shortlist", "distinct"])
def test_a_number_is_no_truth_value(name: str) -> None:
    for value in (0, 1, 1.0, None, "yes"):
        with pytest.raises(int8ref.UserError, match=f"{name} is {value!r}, not one of"):
            Options(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["beam_size", "n_best", "top_k", "seed", "max_length", "alpha"])
def test_a_truth_value_is_no_number(name: str) -> None:
    with pytest.raises(int8ref.UserError, match=f"{name} is True"):
        Options(**{name: True})  # type: ignore[arg-type]


def test_the_callers_decimal_context_changes_nothing() -> None:
    """The option 0.65 is valid in a decimal context of one digit."""
    with decimal.localcontext(decimal.Context(prec=1, traps=[])):
        assert hundredths("temperature", "1.25") == 125
        assert hundredths("alpha", 0.65) == 65
        with pytest.raises(int8ref.UserError):
            hundredths("alpha", "much")
