"""Byte pair encoding of words: equal to its definition, and to subword-nmt."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.files.model_file import ModelFileError, Tokenizer, serialize
from int8ref.files.subword_file import Subword, check, encode
from int8ref.files.tokenizer_file import UnsafeTokenizerError
from int8ref.text.lines import TextError
from int8ref.text.subword_pairs import SubwordPairs, merged
from int8ref.text.tokenizers import TokenizerError, build_tokenizer
from tests.helpers.model_bytes import load_bytes
from tests.helpers.models import SENTENCES, model_with
from weights_import.errors import CheckpointError
from weights_import.sources.subword import merges_of, subword_tokenizer

CODES = b"#version: 0.2\nl o\nlo w</w>\ne r</w>\nlo w\nw er</w>\n"
VOCABULARY = {
    "<s>": 0, "</s>": 1, "<unk>": 2, "low": 3, "lo@@": 4, "er": 5, "low@@": 6, "n@@": 7, "e@@": 8,
    "w@@": 9, "wer": 10,
}  # fmt: skip
SPECIAL = ("<s>", "</s>")


def defined(symbols: Sequence[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """Merge by the definition: the pair of the lowest rank, at all its places from the left."""
    parts = list(symbols)
    while True:
        pairs = [pair for pair in pairwise(parts) if pair in ranks]
        if not pairs:
            return parts
        best = min(pairs, key=lambda pair: ranks[pair])
        found, i = [], 0
        while i < len(parts):
            here = tuple(parts[i : i + 2]) == best
            found.append("".join(best) if here else parts[i])
            i += 2 if here else 1
        parts = found


SYMBOLS = st.text("ab", min_size=1, max_size=3)
RANKS = st.lists(st.tuples(SYMBOLS, SYMBOLS), max_size=12, unique=True)


@given(st.text("ab", min_size=1, max_size=30), RANKS)
def test_merges_are_those_of_the_definition(word: str, pairs: list[tuple[str, str]]) -> None:
    ranks = {pair: rank for rank, pair in enumerate(pairs)}
    assert merged(list(word), ranks) == defined(list(word), ranks)


def test_pieces_are_marked() -> None:
    tokenizer = SubwordPairs(subword_tokenizer(CODES, VOCABULARY, special=SPECIAL))
    ids = tokenizer.encode("low lower  lowx ")
    assert tokenizer.pieces(ids) == ["low", "low@@", "er", "low@@", "<unk>"]
    assert tokenizer.unknown("low lower  lowx ", ids) == [(4, "x")]
    assert tokenizer.text([0, *ids[:3], 1]) == "low lower"  # special tokens have no text
    assert tokenizer.text([3, 4]) == "low lo"
    assert tokenizer.encode("") == tokenizer.encode("  ") == []
    with pytest.raises(TextError):
        tokenizer.encode("\ud800")


def test_marks_of_the_end_of_a_word() -> None:
    """As the vocabularies of FSMT have them, and the codes of fastBPE with their counts."""
    codes = b"l o 9\nlo w</w> 8\n"
    vocabulary = {"<unk>": 0, "low</w>": 1, "lo": 2, "x</w>": 3}
    tokenizer = SubwordPairs(subword_tokenizer(codes, vocabulary, end="</w>"))
    ids = tokenizer.encode("low lox")
    assert (tokenizer.pieces(ids), tokenizer.text(ids)) == (["low</w>", "lo", "x</w>"], "low lox")


def test_whole_words_in_lower_case() -> None:
    content = subword_tokenizer(None, {"<unk>": 0, "the": 1, "cat": 2}, lowercase=True, size=5)
    tokenizer = SubwordPairs(content)
    assert (tokenizer.size, tokenizer.encode("The DOG cat")) == (5, [1, 0, 2])
    assert tokenizer.text([1, 4, 2]) == "the cat"
    assert tokenizer.decode([1, 2]) == "the cat"


def test_long_words_end() -> None:
    """A word of n letters takes O(n log n) steps."""
    tokenizer = SubwordPairs(subword_tokenizer(b"a a\naa aa\n", {"<unk>": 0, "aaaa@@": 1}))
    assert len(tokenizer.encode("a" * 100_001)) == 25_001


@pytest.mark.parametrize("version", ["0.1", "0.2"])
def test_pieces_are_those_of_subword_nmt(version: str) -> None:
    learn = pytest.importorskip("subword_nmt.learn_bpe", reason="it is the reference")
    apply = pytest.importorskip("subword_nmt.apply_bpe", reason="it is the reference")
    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learn.learn_bpe(io.StringIO("\n".join(SENTENCES * 3)), out, 60)
        codes = out.getvalue().replace("#version: 0.2", f"#version: {version}")
        own = apply.BPE(io.StringIO(codes))
    wanted = [own.process_line(line).split(" ") for line in SENTENCES]
    pieces = dict.fromkeys(["<unk>", *(piece for line in wanted for piece in line)])
    content = subword_tokenizer(codes.encode(), {piece: i for i, piece in enumerate(pieces)})
    tokenizer = SubwordPairs(content)
    assert [tokenizer.pieces(tokenizer.encode(line)) for line in SENTENCES] == wanted
    assert [tokenizer.text(tokenizer.encode(line)) for line in SENTENCES] == list(SENTENCES)


def test_versions_of_codes() -> None:
    pair, apart = [("a", "b</w>")], [("a", "</w>")]
    assert merges_of(b"#version: 0.2\na b</w>\n") == (pair, False)
    assert merges_of(b"a b</w>\r\n\n") == (pair, False)
    assert merges_of(b"a b</w> 12\n") == (pair, False)
    assert merges_of(b"a </w>\n") == (apart, True)
    assert merges_of(b"#version: 0.1\na </w>\n") == (apart, True)
    tokenizer = SubwordPairs(subword_tokenizer(b"a </w>\n", {"<unk>": 0, "a": 1, "b@@": 2, "b": 3}))
    assert tokenizer.encode("ba ab b") == [2, 1, 0, 3, 3]


@pytest.mark.parametrize(
    ("codes", "vocabulary", "why"),
    [
        (b"\xff", VOCABULARY, "codes: 'utf-8' codec"),
        (b"#version: 0.3\n", VOCABULARY, "codes: version 0.3"),
        (b"#version: 0.2\na b\na\n", VOCABULARY, "codes: line 3 is no pair"),
        (b"a b c\n", VOCABULARY, "codes: line 1 is no pair"),
        (b"a  b\n", VOCABULARY, "codes: line 1 is no pair"),
        (CODES, {"a": 0}, "vocabulary: no <unk>"),
        (CODES, {"<unk>": 0, "a": 0}, "two pieces have one id"),
        (CODES, {"<unk>": -1}, "is negative"),
        (CODES, {"<unk>": 1 << 40}, "1099511627777 ids"),
        (CODES, {"<unk>": 0, "a" * 2000: 1}, "a token of 2000 bytes"),
    ],
)
def test_refused(codes: bytes, vocabulary: dict[str, int], why: str) -> None:
    with pytest.raises(CheckpointError, match=why):
        subword_tokenizer(codes, vocabulary)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tokens": ["a", "a"]}, "twice"),
        ({"unknown": 2}, "outside of 2 tokens"),
        ({"special": [7]}, "outside of 2 tokens"),
        ({"end": "x"}, "exactly one"),
        ({"continuing": ""}, "exactly one"),
    ],
)
def test_unsafe_documents(changes: dict[str, object], why: str) -> None:
    told = {"tokens": ["a", "b"], "unknown": 0, "merges": [], "continuing": "@@"} | changes
    with pytest.raises(UnsafeTokenizerError, match=why):
        encode(Subword(**told))  # type: ignore[arg-type]


def test_in_a_model_file(tmp_path: Path) -> None:
    content = subword_tokenizer(CODES, VOCABULARY, size=700)
    model = load_bytes(tmp_path, serialize(model_with(content, 700)))
    assert model.target == Tokenizer("subword-nmt", content)
    assert build_tokenizer(model.target, 700).encode("low") == [3]
    check(content)
    unsafe = serialize(model_with(content.replace(b'"unknown":2', b'"unknown":900'), 700))
    with pytest.raises(ModelFileError, match="a damaged list of merges: "):
        load_bytes(tmp_path, unsafe)
    with pytest.raises(TokenizerError, match="not a tokenizer"):
        SubwordPairs(b'{"subword":[]}')
