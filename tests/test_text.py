"""Tokenizers: any text survives a round trip, and no bytes crash the process."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from int8ref.files.model_file import Tokenizer
from int8ref.text.lines import TextError
from int8ref.text.tokenizers import TextTokenizer, TokenizerError, build_tokenizer
from tests.helpers.models import build_tiny_model

ODD_LINES = [
    "",
    " ",
    "\t\r\0\x1f",
    "a\0b",
    "The\u2028cat\u0085sat\x0bon\x0cit",
    "\ufeffThe cat",
    "\U0001f408 sat",
    "e\u0301" * 50,
    "\u202ethe cat",
    "the cat " * 20_000,
    "a" * 100_000,
]


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    model = build_tiny_model(1)
    return build_tokenizer(model.source, len(model.tensors["embeddings"]))


@pytest.fixture(scope="module")
def processor() -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=build_tiny_model(1).source.model)


def field(number: int, content: bytes) -> bytes:
    """Return a field of a protobuf message: bytes, or a message of fewer than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def test_of_equally_likely_pieces_the_longest_come_last() -> None:
    """SentencePiece before 0.2.2 cuts this text into other pieces: one model gives other tokens."""
    pieces = b"".join(
        field(1, field(1, piece) + b"\x15" + struct.pack("<f", score) + bytes([3 << 3, kind]))
        for piece, score, kind in [(b"<unk>", 0, 2), (b"a", -0.1, 1), (b"aa", -0.2, 1)]
    )
    unigram, as_it_is = field(2, b"\x18\x01"), field(3, field(1, b"identity") + b"\x18\x00")
    tokenizer = build_tokenizer(Tokenizer("sentencepiece", pieces + unigram + as_it_is), 3)
    assert tokenizer.encode("a" * 15) == [1, *[2] * 7]


@given(st.text())
def test_encode_is_sentencepieces(tokenizer: TextTokenizer, processor: object, line: str) -> None:
    ids = tokenizer.encode(line)
    assert ids == processor.encode(line)  # type: ignore[attr-defined]
    assert all(0 <= i < tokenizer.size for i in ids)
    assert "\n" not in tokenizer.decode(ids)


def test_known_text_comes_back(tokenizer: TextTokenizer) -> None:
    for line in ("The cat sat on the mat.", "O gato comeu o peixe."):
        assert tokenizer.decode(tokenizer.encode(line)) == line


@pytest.mark.parametrize("line", ODD_LINES, ids=[ascii(line[:9]) for line in ODD_LINES])
def test_odd_lines(tokenizer: TextTokenizer, line: str) -> None:
    text = tokenizer.decode(tokenizer.encode(line))
    assert bool(tokenizer.encode(line)) == bool(line.strip(" "))
    assert not set(text) & {"\n", "\r"}


def test_a_lone_surrogate_is_no_text(tokenizer: TextTokenizer) -> None:
    with pytest.raises(TextError, match=r"half a surrogate pair, '\\udcff'"):
        tokenizer.encode("a\udcffb")


def test_a_piece_with_a_line_feed_stays_on_its_line() -> None:
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e"] * 9),
        model_writer=out,
        vocab_size=20,
        hard_vocab_limit=False,
        user_defined_symbols=["x\ny\r"],
        normalization_rule_name="identity",
        minloglevel=2,
    )
    built = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    token = built.piece_to_id("x\ny\r")
    tokenizer = build_tokenizer(Tokenizer("sentencepiece", out.getvalue()), built.vocab_size())
    assert built.decode([token]) == "x\ny\r"
    assert tokenizer.decode([token]) == "x y "


def test_the_vocabulary_must_be_the_programs() -> None:
    model = build_tiny_model(1)
    size = len(model.tensors["embeddings"])
    with pytest.raises(TokenizerError, match=f"{size} pieces for a vocabulary of {size + 1}"):
        build_tokenizer(model.source, size + 1)


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 100, b"\xff" * 100])
def test_bytes_that_are_no_tokenizer(content: bytes) -> None:
    with pytest.raises(TokenizerError):
        build_tokenizer(Tokenizer("sentencepiece", content), 1)


def test_damaged_tokenizers_end_in_an_error_or_work(tmp_path: Path) -> None:
    """Runs in its own process, because a crash of the native code would end the tests."""
    (tmp_path / "spm").write_bytes(build_tiny_model(1).source.model)
    program = textwrap.dedent(
        """
        import random, sys
        from int8ref.text.tokenizers import SentencePiece, TokenizerError
        sound = open(sys.argv[1], "rb").read()
        for seed in range(3000):
            chance = random.Random(seed)
            damaged = bytearray(sound)
            for _ in range(chance.choice([1, 1, 3, 20])):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            try:
                made = SentencePiece(bytes(damaged[: chance.choice([None, None, -9, 50])]))
                made.decode([i for i in made.encode("The cat, \\u00e9.") if i < made.size])
            except TokenizerError:
                pass
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "spm"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_threads_share_a_tokenizer(tokenizer: TextTokenizer) -> None:
    lines = [f"the cat {'sat ' * n}" for n in range(50)]
    expected = [tokenizer.encode(line) for line in lines]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert list(pool.map(tokenizer.encode, lines)) == expected
