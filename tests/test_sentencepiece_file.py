"""Tables of a SentencePiece model that would make the library read beyond their end."""

from __future__ import annotations

import io
import struct
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from int8ref.files import protobuf
from int8ref.files.model_file import ModelFileError, serialize
from int8ref.files.sentencepiece_file import UnsafeModelError, check
from tests.fuzz.mutations import with_tokenizer
from tests.helpers.model_bytes import load_bytes
from tests.helpers.models import SENTENCES, build_tiny_model

Units = NDArray[np.uint32]
RULES = ["nmt_nfkc", "nmt_nfkc_cf", "nfkc", "identity"]
NORMALIZER, DENORMALIZER, CHARACTER_MAP = 3, 5, 2


@cache
def trained(rule: str = "nmt_nfkc", kind: str = "unigram", symbols: tuple[str, ...] = ()) -> bytes:
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4),
        model_writer=out,
        vocab_size=64 + len(symbols),
        hard_vocab_limit=False,
        model_type=kind,
        normalization_rule_name=rule,
        user_defined_symbols=list(symbols),
        num_threads=1,
        minloglevel=2,
    )
    return out.getvalue()


def with_map(content: bytes, number: int = NORMALIZER) -> bytes:
    """Return a model with the character map `content`."""
    rest = [f for f in protobuf.fields(trained("identity")) if f[0] != number]
    own = protobuf.field(CHARACTER_MAP, protobuf.BYTES, content)
    fields = [*rest, (number, protobuf.BYTES, own)]
    return b"".join(protobuf.field(*field) for field in fields)


def character_map(units: Units, texts: bytes) -> bytes:
    return struct.pack("<I", units.nbytes) + units.tobytes() + texts


@cache
def real_map() -> tuple[Units, bytes]:
    """Return the double array and the texts of the usual normalisation rules."""
    for number, _, value in protobuf.fields(trained()):
        if number == NORMALIZER:
            found = {n: v for n, _, v in protobuf.fields(value)}[CHARACTER_MAP]
    (size,) = struct.unpack_from("<I", found)
    return np.frombuffer(found[4 : 4 + size], np.uint32), found[4 + size :]


def refused(model: bytes, message: str) -> None:
    with pytest.raises(UnsafeModelError, match=message):
        check(model)


@pytest.mark.parametrize("kind", ["unigram", "bpe", "char", "word"])
@pytest.mark.parametrize("rule", RULES)
def test_models_that_the_library_trains_are_taken(rule: str, kind: str) -> None:
    check(trained(rule, kind))


def test_the_real_map_may_be_given_by_hand() -> None:
    for number in (NORMALIZER, DENORMALIZER):
        check(with_map(character_map(*real_map()), number))


def walk(units: Units, texts: bytes, sample: bytes) -> None:
    """Follow a text as the library does, with checked indices."""
    place = 0
    for start in range(len(sample)):
        place = int(units[0] >> 10 << ((units[0] & 512) >> 6))
        for byte in sample[start:]:
            place ^= byte
            unit = int(units[place])
            if unit & (1 << 31 | 0xFF) != byte:
                break
            place ^= unit >> 10 << ((unit & 512) >> 6)
            if unit >> 8 & 1:
                value = int(units[place]) & (2**31 - 1)
                assert texts.index(b"\0", value) >= value
                texts[value : texts.index(b"\0", value)].decode()


@given(st.data())
def test_what_is_taken_never_leaves_the_table(data: st.DataObject) -> None:
    """The check rejects a damaged unit, or no text reaches the unit."""
    units, texts = (real_map()[0].copy(), real_map()[1])
    reached = [0, *range(1, 600), *range(0xC0, 0x3000, 37)]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from(reached) | st.integers(0, len(units) - 1))
        units[at] ^= np.uint32(1 << data.draw(st.integers(0, 31)))
    try:
        check(with_map(character_map(units, texts)))
    except UnsafeModelError:
        return
    for text in ("ﬁ①㌘\uff41\uff42 e\u0301 \u212b \ufdfa", data.draw(st.text(max_size=20))):
        walk(units, texts, text.encode())


def test_a_root_that_leads_beyond_the_table_is_refused() -> None:
    units, texts = real_map()
    for unit in (0xFFFFFE00, (len(units) << 10) & 0xFFFFFFFF, 1 << 30 | 1 << 9):
        refused(
            with_map(character_map(np.array([unit, *units[1:]], np.uint32), texts)), "beyond its"
        )


def test_texts_that_are_not_there_are_refused() -> None:
    units, texts = real_map()
    refused(with_map(character_map(units, texts[: len(texts) // 2].rpartition(b"\0")[0] + b"\0")),
            "names a text that it does not have")  # fmt: skip
    refused(with_map(character_map(units, texts + b"x")), "do not end with 0")
    refused(with_map(character_map(units, b"\xff" + texts)), "can't decode byte 0xff")


@pytest.mark.parametrize(
    "content", [b"\4", b"\0\0\0\0", b"\4\0\0\0", b"\4\0\0\0abcd", b"\3\0\0\0abc\0", b"\xff" * 9]
)
def test_sizes_that_do_not_fit_are_refused(content: bytes) -> None:
    refused(with_map(content), "a character map of")


def test_keys_without_end_are_refused() -> None:
    """A node is its own child for the letter a."""
    units = np.zeros(512, np.uint32)
    units[0] = 256 << 10
    units[256 ^ ord("a")] = ord("a") | (ord("a") << 10)
    refused(with_map(character_map(units, b"x\0")), "keys of more than 1024 bytes")


@pytest.mark.parametrize(("number", "message"), [(64, ""), (65, "more than 64 user-defined")])
def test_user_defined_pieces_that_begin_alike(number: int, message: str) -> None:
    """The library has a buffer for 64 pieces."""
    pieces = [b"a" * n for n in range(1, number + 1)] + [b"b" * n for n in range(1, 60)]
    bodies = (
        protobuf.field(1, protobuf.BYTES, piece) + protobuf.field(3, protobuf.VARINT, b"\4")
        for piece in pieces
    )
    model = trained("identity") + b"".join(protobuf.field(1, protobuf.BYTES, b) for b in bodies)
    if message:
        refused(model, message)
    else:
        check(model)


def test_pieces_are_utf8() -> None:
    body = protobuf.field(1, protobuf.BYTES, b"\xff")
    refused(trained("identity") + protobuf.field(1, protobuf.BYTES, body), "can't decode byte 0xff")


@given(st.binary(max_size=60))
def test_bytes_that_are_no_message_are_refused_or_harmless(content: bytes) -> None:
    try:
        check(content)
    except UnsafeModelError:
        return
    for _ in protobuf.fields(content):
        pass


def test_a_model_file_with_such_a_tokenizer_is_refused(tmp_path: Path) -> None:
    units, texts = real_map()
    damaged = with_map(character_map(np.array([0xFFFFFE00, *units[1:]], np.uint32), texts))
    content = with_tokenizer(serialize(build_tiny_model(2)), damaged)
    with pytest.raises(
        ModelFileError, match=r"'tokenizer\.source' is a damaged SentencePiece model"
    ):
        load_bytes(tmp_path, content)
