"""Tokenizers of the library `tokenizers` in a model file: its own ids and texts, and safety."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from int8ref.files.model_file import ModelFileError, Tokenizer, serialize
from int8ref.files.tokenizer_file import UnsafeTokenizerError, check
from int8ref.language_model import LanguageModel
from int8ref.text.lines import TextError
from int8ref.text.tokenizer_json import TokenizerJson
from int8ref.text.tokenizers import TokenizerError, build_tokenizer
from tests.helpers.model_bytes import load_bytes
from tests.helpers.models import SENTENCES, model_with
from tests.helpers.tokenizer_kinds import CHAT, KINDS, trained
from weights_import.sources.tokenizer_json import of_json

tokenizers = pytest.importorskip("tokenizers", reason="it is the reference")

SIZE = 700
FLORES = Path(os.environ.get("INT8REF_SHARED", ".")) / "data" / "testsets" / "flores-dev"
ODD = (
    "", " ", "  two  spaces ", "\n", "a\nb\r\n\tc", f"{CHAT}user\nHi{CHAT}", f"a{CHAT}",
    "<tool>x <tool>",
    "\U0001f408 \u6f22\u5b57 e\u0301\u00e9", "\u2581a", "</s><s>", "\0\ufeff", "a" * 300,
)  # fmt: skip


@cache
def given_json(kind: str) -> str:
    return trained(kind, SENTENCES * 4, 300)


@cache
def made(kind: str) -> bytes:
    return of_json(given_json(kind).encode(), SIZE)


def changed(change: Callable[[dict[str, Any]], object], kind: str = "bytes") -> bytes:
    """Return the bytes of a tokenizer after a change of its document."""
    told = json.loads(made(kind))
    change(told)
    return json.dumps(told).encode()


@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_texts_are_those_of_the_library(kind: str) -> None:
    own, tokenizer = tokenizers.Tokenizer.from_str(given_json(kind)), TokenizerJson(made(kind))
    for line in (*SENTENCES, *ODD):
        ids = own.encode(line, add_special_tokens=False).ids
        assert tokenizer.encode(line) == ids
        assert tokenizer.text(ids) == own.decode(ids)
        assert tokenizer.pieces(ids) == [own.id_to_token(token) for token in ids]


@pytest.mark.slow
@pytest.mark.skipif(not FLORES.is_dir(), reason="the sentences of FLORES are not there")
@pytest.mark.parametrize("kind", KINDS)
def test_every_line_of_flores_through_a_model_file(kind: str, tmp_path: Path) -> None:
    lines = [x for f in sorted(FLORES.glob("*.dev")) for x in f.read_text().splitlines()]
    told = trained(kind, lines[::5], 2000)
    model = load_bytes(tmp_path, serialize(model_with(of_json(told.encode(), 3000), 3000)))
    own, tokenizer = tokenizers.Tokenizer.from_str(told), build_tokenizer(model.target, 3000)
    assert len(lines) == 4985
    for line in lines:
        ids = own.encode(line, add_special_tokens=False).ids
        assert tokenizer.encode(line) == ids
        assert tokenizer.text(ids) == own.decode(ids)


def test_a_model_file_with_it_is_a_model(tmp_path: Path) -> None:
    content = serialize(model_with(made("llama3"), SIZE))
    model = load_bytes(tmp_path, content)
    assert model.target == Tokenizer("tokenizers", made("llama3"))
    assert serialize(model) == content
    found = LanguageModel(model, backend="reference").generate(f"{CHAT}a cat\nsat")
    assert found.text.startswith("a cat\nsat")
    assert found.unknown == ()


def test_added_tokens_are_never_cut() -> None:
    tokenizer = TokenizerJson(made("bytes"))
    chat, tool = (tokenizer.pieces(range(SIZE)).index(text) for text in (CHAT, "<tool>"))
    ids = tokenizer.encode(f"x{CHAT}user\n<tool>{CHAT}")
    assert (ids.count(chat), ids.count(tool)) == (2, 1)
    assert tokenizer.text(ids) == "xuser\n<tool>"  # special tokens have no text
    assert tokenizer.decode(ids) == "xuser <tool>"


def test_ids_without_a_token_have_no_text() -> None:
    tokenizer = TokenizerJson(made("bytes"))
    ids = tokenizer.encode("cat")
    assert tokenizer.size == SIZE
    assert tokenizer.text([*ids, SIZE - 1]) == "cat"
    assert tokenizer.pieces([SIZE - 1]) == [f"<unused{SIZE - 1}>"]


@pytest.mark.parametrize("kind", ["metaspace", "unigram", "wordpiece", "words"])
def test_unknown_text_has_its_place(kind: str) -> None:
    tokenizer = TokenizerJson(made(kind))
    line = "the \u6f22 cat"
    ids = tokenizer.encode(line)
    ((place, text),) = tokenizer.unknown(line, ids)
    assert text.strip() == "\u6f22"
    assert tokenizer.pieces(ids)[place] == "<unk>"
    assert tokenizer.unknown("the cat", tokenizer.encode("the cat")) == []


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(TextError, match="half a surrogate pair"):
        TokenizerJson(made("bytes")).encode("a\udcff")


def test_threads_share_a_tokenizer() -> None:
    tokenizer = TokenizerJson(made("fallback"))
    lines = [f"the cat {'sat ' * n}" for n in range(50)]
    expected = [tokenizer.encode(line) for line in lines]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tokenizer.encode, lines)) == expected


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(TokenizerError, match=r"pip install 'int8ref\[tokenizers\]'"):
        TokenizerJson(made("bytes"))


def part(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda told: told["tokenizer"].update(fields)


def model_part(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda told: told["tokenizer"]["model"].update(fields)


def replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


LONG = [replace({"String": "a"}, "a" * 9), replace({"Regex": "a"}, "a" * 9)]
STRIP = {"type": "Strip", "content": " ", "start": 0, "stop": 1}
REFUSED = {
    "a part of no kind": (part(normalizer={"type": "Lua"}), "Invalid value 'Lua'"),
    "a field too many": (part(decoder={"type": "Fuse", "x": 1}), "unknown field `x`"),
    "growth": (part(normalizer={"type": "Sequence", "normalizers": LONG}), "90 times longer"),
    "two patterns": (part(normalizer=replace({"String": "a", "Regex": "a"}, "")), "exactly one"),
    "no pattern": (part(normalizer=replace({}, "")), "exactly one of"),
    "a slow pattern": (
        part(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a*)*b"},
                            "behavior": "Isolated"}), "a group repeats",
    ),
    "a map": (part(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}), "map"),
    "no map": (part(normalizer={"type": "Precompiled", "precompiled_charsmap": "?"}), "map"),
    "strip": (part(decoder=STRIP), "stop"),
    "version": (part(version="2.0"), "version '2.0'"),
    "unknown": (model_part(unk_token="nothing"), "has no id"),
    "merges": (model_part(merges=[["a", "nothing"]]), "the merge 'a' 'nothing'"),
    "a prefix": (model_part(continuing_subword_prefix="##"), "is not of its tokens"),
    "one id": (model_part(vocab={"a": 0, "b": 0}, merges=[]), "two tokens have one id"),
    "no tokens": (model_part(vocab={}, merges=[]), "no tokens"),
    "a long token": (model_part(vocab={"a" * 1025: 0}, merges=[]), "a token of 1025 bytes"),
    "a negative id": (model_part(vocab={"a": -1}, merges=[]), ">= 0"),
    "many ids": (lambda told: told.update(size=100), "the id .* of 100 ids"),
    "many parts": (
        part(normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}] * 64}),
        " parts, more than 64",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    change, why = REFUSED[name]
    with pytest.raises(UnsafeTokenizerError, match=why):
        check(changed(change))


def test_refused_of_unigram() -> None:
    for fields, why in (
        ({"unk_id": 9999}, "unk_id 9999 of"),
        ({"vocab": [["a", 0], ["a", 1]]}, "empty or there twice"),
        ({"vocab": [["", 0]]}, "empty or there twice"),
        ({"vocab": [["a", 1e300]]}, "a score is too large"),
    ):
        with pytest.raises(UnsafeTokenizerError, match=why):
            check(changed(model_part(**fields), "unigram"))


ADDED = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


@pytest.mark.parametrize(
    ("added", "why"),
    [
        ([(303, "x<"), (302, "y<")], "order"),
        ([(5, "x<")], "do not follow"),
        ([(650, "x<")], "do not follow"),
        ([(0, "t")], "two ids"),
        ([(301, "")], "length"),
    ],
)
def test_added_tokens_that_the_library_would_number(added: list[Any], why: str) -> None:
    tokens = [{"id": i, "content": text, "special": True} | ADDED for i, text in added]
    with pytest.raises(UnsafeTokenizerError, match=why):
        check(changed(part(added_tokens=tokens)))


def test_deep_documents_are_refused() -> None:
    inside = b'{"type":"Sequence","normalizers":['
    content = b'{"size":1,"tokenizer":{"normalizer":' + inside * 100_000
    with pytest.raises(UnsafeTokenizerError):
        check(content)


def test_a_model_file_with_an_unsafe_one_is_refused(tmp_path: Path) -> None:
    model = model_with(changed(model_part(unk_token="nothing")), SIZE)
    with pytest.raises(ModelFileError, match=r"a damaged tokenizer.json: the unknown token"):
        load_bytes(tmp_path, serialize(model))
    with pytest.raises(TokenizerError, match="pieces for a vocabulary of"):
        build_tokenizer(Tokenizer.of(made("bytes")), SIZE + 1)


def test_equal_tokenizers_have_equal_bytes() -> None:
    told = json.loads(given_json("bytes"))
    order = list(told["model"]["vocab"].items())[::-1]
    told["model"]["vocab"] = dict(order)
    told["added_tokens"].reverse()
    assert of_json(json.dumps(told, indent=2).encode(), SIZE) == made("bytes")
    assert msgspec.json.decode(made("bytes"))["size"] == SIZE
