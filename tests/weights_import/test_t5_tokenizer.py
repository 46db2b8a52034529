"""The tokenizers of T5 models, compared with those of transformers."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import sentencepiece
import tiny_t5 as tiny
from hypothesis import given
from hypothesis import strategies as st

from weights_import import sources
from weights_import.calibrate import tokenize
from weights_import.errors import CheckpointError
from weights_import.processor import processor, reader
from weights_import.sources.hugging_face_config import Marks
from weights_import.sources.t5_tokenizer import bytes_of_text, tokenizer
from weights_import.sources.vocabulary import Piece, byte_pairs

BYTES = processor(bytes_of_text(384))


@given(st.text())
def test_the_tokens_of_byt5_are_the_bytes(text: str) -> None:
    ids = [3 + byte for byte in text.encode()]
    assert BYTES.encode(text) == ids
    assert BYTES.decode(ids) == text


def test_special_tokens_of_byt5() -> None:
    """As transformers 5.24.0 has them: gaps are tokens, names of other tokens are text."""
    assert (BYTES.eos_id(), BYTES.unk_id(), BYTES.vocab_size()) == (1, 2, 384)
    assert BYTES.encode("a <extra_id_0> b") == [100, 35, 259, 35, 101]
    assert BYTES.encode("<extra_id_12>x<extra_id_124>") == [271, 123, 383]
    assert BYTES.encode("</s>") == [63, 50, 118, 65]


def trained() -> bytes:
    """A SentencePiece model of the form of T5's."""
    lines = ["the park in the dark", "a walk in a park", "who walks in the dark park of a lark"]
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines * 3), model_writer=out, vocab_size=32, model_type="unigram",
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return out.getvalue()


@pytest.fixture(scope="module")
def model() -> bytes:
    return trained()


def test_gaps_are_pieces_behind_those_of_the_file(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(model)
    own = sentencepiece.SentencePieceProcessor(model_proto=model)
    size = own.vocab_size()
    content, eos, unk = tokenizer(tmp_path, size + 128, Marks(1))
    made = processor(content)
    assert (eos, unk, made.vocab_size()) == (1, 2, size + 128)
    first, last = size + 99, size
    assert made.encode("<extra_id_0> in <extra_id_99>") == [first, *own.encode("in"), last]
    assert made.encode("the dark park") == own.encode("the dark park")
    assert made.decode([first]).strip() == "<extra_id_0>"


def test_the_gaps_that_a_configuration_tells(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(model)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"extra_ids": 2}))
    size = processor(model).vocab_size()
    made = processor(tokenizer(tmp_path, size + 3, Marks(1))[0])
    found = [made.id_to_piece(size + i) for i in range(3)]
    assert found == ["\u2581<extra_id_1>", "\u2581<extra_id_0>", f"<unused{size + 2}>"]
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"added_tokens_decoder": {"7": {"content": "<mine>"}}})
    )
    with pytest.raises(CheckpointError, match=r"1 tokens were added to the tokenizer \('<mine>'\)"):
        tokenizer(tmp_path, size + 3, Marks(1))


def test_a_model_that_has_its_gaps(tmp_path: Path) -> None:
    """The SentencePiece models of mT5 and UMT5 have them."""
    pieces = ["<pad>", "</s>", "<unk>", "\u2581", "a", "\u2581<extra_id_0>"]
    content = byte_pairs({p: Piece() for p in pieces}, unk="<unk>", bos="<pad>", eos="</s>")
    (tmp_path / "spiece.model").write_bytes(content)
    made = processor(tokenizer(tmp_path, 8, Marks(1))[0])
    assert [made.id_to_piece(i) for i in range(8)] == [*pieces, "<unused6>", "<unused7>"]


def test_text_of_a_model(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(model)
    size = processor(model).vocab_size() + 3
    content = tiny.tensors(tiny.CASES["t5"])
    content["shared.weight"] = content["shared.weight"][[i % tiny.VOCABULARY for i in range(size)]]
    found = sources.read(tiny.write(tmp_path, "t5", content, vocab_size=size))
    ids = sentencepiece.SentencePieceProcessor(model_proto=model).encode("a dark walk")
    assert tokenize(found, ["a dark walk"]) == [[*ids, 1]]
    assert found.tokenizers["source"] is found.tokenizers["target"]


def test_text_of_a_model_of_bytes(tmp_path: Path) -> None:
    content = tiny.tensors(tiny.CASES["mt5"])
    content["shared.weight"] = content["shared.weight"][[i % tiny.VOCABULARY for i in range(384)]]
    told = {"vocab_size": 384, "tokenizer_class": "ByT5Tokenizer"}
    found = sources.read(tiny.write(tmp_path, "mt5", content, **told))
    assert tokenize(found, [" \u00e9 "]) == [[35, 198, 172, 35, 1]]


def test_a_tokenizer_json_alone(tmp_path: Path) -> None:
    """transformers 5 saves no SentencePiece model of T5."""
    pytest.importorskip("tokenizers", reason="it cuts the texts")
    pieces = [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["\u2581", -9.0], ["\u2581a", -1.0],
              ["b", -2.0]]  # fmt: skip
    added = [{"id": i, "content": text, "special": True, "normalized": False}
             for i, text in ((0, "<pad>"), (1, "</s>"), (2, "<unk>"), (6, "<extra_id_1>"),
                             (7, "<extra_id_0>"))]  # fmt: skip
    spaces = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"}
    words = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, spaces]}
    told = {"model": {"type": "Unigram", "vocab": pieces, "unk_id": 2}, "added_tokens": added,
            "pre_tokenizer": words, "decoder": spaces}  # fmt: skip
    (tmp_path / "tokenizer.json").write_text(json.dumps(told))
    content, eos, unk = tokenizer(tmp_path, 10, Marks(1))
    made = reader(content)
    assert (eos, unk, made.size) == (1, 2, 10)
    assert made.encode("a  ab<extra_id_0> z") == [4, 4, 5, 7, 3, 2]
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: no tokenizer, because it has no"):
        tokenizer(tmp_path, 10, Marks(1))


def test_a_model_without_a_tokenizer(tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, "t5"))
    assert model.tokenizers == {}
    assert model.wanted == "spiece.model or spm.model or sentencepiece.model or tokenizer.json"


def test_tokenizers_of_other_models_are_refused(model: bytes, tmp_path: Path) -> None:
    path = tmp_path / "spiece.model"
    path.write_bytes(model)
    with pytest.raises(
        CheckpointError, match=r"spiece\.model: SentencePiece model: \d+ pieces for"
    ):
        tokenizer(tmp_path, 9, Marks(1))
    with pytest.raises(CheckpointError, match="the end mark of its tokenizer is token 1, not 4"):
        tokenizer(tmp_path, 400, Marks(4))
    path.write_bytes(model[:-9])
    with pytest.raises(CheckpointError, match=r"spiece\.model: SentencePiece model"):
        tokenizer(tmp_path, 400, Marks(1))
    path.unlink()
    (tmp_path / "config.json").write_text(json.dumps({"tokenizer_class": "ByT5Tokenizer"}))
    with pytest.raises(CheckpointError, match="200 embeddings, too few for the bytes of a text"):
        tokenizer(tmp_path, 200, Marks(1))
