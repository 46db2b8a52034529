"""The tokenizers of encoders alone: vocab.txt, tokenizer.json, and the marks around a text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_encoders as tiny
import tokenizers
from tokenizers import processors

from int8ref.program.program import SourceFrame
from weights_import import sources
from weights_import.calibrate import tokenize
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.processor import reader

TEXTS = (
    "The cat sat on the mat!", "the caterer, mats", "\N{LATIN SMALL LETTER E WITH ACUTE}te",
    "", "   ", "[CLS] the [MASK]", "a\N{CJK UNIFIED IDEOGRAPH-4E2D}b", "tab\there\r\nnew", "a\0b",
    "x" * 300, "\N{SNOWMAN} cat",
)  # fmt: skip


def ids_of(model: FloatModel) -> list[list[int]]:
    return [reader(model.tokenizers["source"]).encode(text) for text in TEXTS]


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("accents", [None, True, False])
def test_a_list_of_tokens(lower: bool, accents: bool | None, tmp_path: Path) -> None:
    """The library makes a tokenizer of BERT by itself."""
    path = tiny.write(tmp_path, "bert")
    told = {"do_lower_case": lower, "strip_accents": accents, "tokenize_chinese_chars": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    other = tokenizers.BertWordPieceTokenizer(
        str(tmp_path / "vocab.txt"), lowercase=lower, strip_accents=accents
    )
    wanted = [other.encode(text, add_special_tokens=False).ids for text in TEXTS]
    assert ids_of(sources.read(path)) == wanted


def test_texts_are_framed(tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, "bert"))
    other = tokenizers.BertWordPieceTokenizer(str(tmp_path / "vocab.txt"))
    assert tokenize(model, TEXTS) == [other.encode(text).ids for text in TEXTS]


def library(folder: Path, processor: Any) -> Path:
    """Write a tokenizer.json with a post-processor, and with settings of batches."""
    path = tiny.write(folder, "bert")
    other = tokenizers.BertWordPieceTokenizer(str(folder / "vocab.txt"))
    found = tokenizers.Tokenizer.from_str(other.to_str())
    found.enable_truncation(4)
    found.enable_padding(length=9)
    if processor is not None:
        found.post_processor = processor
    found.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").unlink()
    return path


TEMPLATE = processors.TemplateProcessing(
    single="[CLS] [CLS] $A [MASK]", pair="[CLS] $A $B", special_tokens=[("[CLS]", 2), ("[MASK]", 4)]
)


@pytest.mark.parametrize(
    ("processor", "frame"),
    [
        (processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)), SourceFrame((2,), (3,))),
        (processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2)), SourceFrame((2,), (3,))),
        (TEMPLATE, SourceFrame((2, 2), (4,))),
        (processors.Sequence([processors.ByteLevel(), TEMPLATE]), SourceFrame((2, 2), (4,))),
        (processors.ByteLevel(), SourceFrame((2,), (3,))),
    ],
    ids=["bert", "roberta", "template", "sequence", "settings"],
)
def test_marks_are_those_of_the_post_processor(
    processor: Any, frame: SourceFrame, tmp_path: Path
) -> None:
    model = sources.read(library(tmp_path, processor))
    assert model.generation.frame == frame
    assert model.generation.unk == 1
    other = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    other.no_truncation()
    other.no_padding()
    wanted = [other.encode(text, add_special_tokens=False).ids for text in TEXTS]
    assert ids_of(model) == wanted


def test_marks_by_the_settings(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "bert")
    told = {"cls_token": {"content": "the"}, "sep_token": "cat"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    ids = tiny.TOKENS.index("the"), tiny.TOKENS.index("cat")
    assert sources.read(path).generation.frame == SourceFrame(ids[:1], ids[1:])


def test_without_a_tokenizer_the_configuration_tells_the_marks(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "roberta")
    (tmp_path / "vocab.txt").unlink()
    model = sources.read(path)
    assert model.tokenizers == {}
    assert "vocab.txt" in model.wanted
    assert model.generation.frame == SourceFrame((2,), (3,))


LISTS = [
    (b"\xff\n", "vocab.txt: "),
    (b"[UNK]\na\n", "no token of a first and a last mark"),
    ("\n".join(f"t{i}" for i in range(60)).encode() + b"\n[UNK]", "a tokenizer of 61 tokens for"),
]


@pytest.mark.parametrize(("content", "told"), LISTS)
def test_lists_that_are_no_vocabulary(content: bytes, told: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "bert")
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(CheckpointError, match=told):
        sources.read(path)


@pytest.mark.parametrize(
    "damaged",
    [
        {"type": "Unknown"},
        {"type": "BertProcessing", "cls": 3, "sep": ["[SEP]", 3]},
        {"type": "BertProcessing", "cls": ["[CLS]", -1], "sep": ["[SEP]", 3]},
        {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}]},
        {"type": "Sequence", "processors": 7},
        {},
        [],
        "text",
    ],
)
def test_damaged_post_processors(damaged: Any, tmp_path: Path) -> None:
    path = library(tmp_path, None)
    told = json.loads((tmp_path / "tokenizer.json").read_text())
    told["post_processor"] = damaged
    (tmp_path / "tokenizer.json").write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match="post_processor"):
        sources.read(path)


def test_a_deep_post_processor(tmp_path: Path) -> None:
    path = library(tmp_path, None)
    text = (tmp_path / "tokenizer.json").read_text()
    told = json.loads(text)
    told["post_processor"] = {"type": "X"}
    deep = '{"type": "Sequence", "processors": [' * 3000 + "]}" * 3000
    (tmp_path / "tokenizer.json").write_text(json.dumps(told).replace('{"type": "X"}', deep))
    with pytest.raises(CheckpointError):
        sources.read(path)
