"""The tokenizer beside a checkpoint of transformers: which one is read, and its added tokens."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import tiny_decoders
import tiny_hugging_face
from damage import FUZZ, damage
from hypothesis import given
from hypothesis import strategies as st

import int8ref
from int8ref.files.model_file import load
from int8ref.text.tokenizers import TextTokenizer
from tests.helpers.models import SENTENCES
from tests.helpers.tokenizer_kinds import CHAT, trained
from weights_import import sources
from weights_import.__main__ import main
from weights_import.calibrate import tokenize
from weights_import.errors import CheckpointError
from weights_import.processor import reader
from weights_import.sources.hugging_face_tokenizer import tokenizer
from weights_import.sources.tokenizer_json import of_json
from weights_import.sources.vocabulary import Piece, byte_pairs

tokenizers = pytest.importorskip("tokenizers", reason="it is the reference")

SIZE = 400
SPACE = "\u0120"
TINY: dict[str, Any] = {
    "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
    "added_tokens": [
        {"id": i, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for i, text in ((0, "<pad>"), (1, "<s>"), (2, "</s>"), (9, "<|im|>"))
    ],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
    "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1],
                       "trim_offsets": True, "add_prefix_space": False},
    "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True},
    "model": {
        "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
        "end_of_word_suffix": "", "fuse_unk": False,
        "vocab": {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "a": 4, "b": 5, "ab": 6, SPACE: 7,
                  f"{SPACE}a": 8},
        "merges": ["a b", f"{SPACE} a"],
    },
}  # fmt: skip


def write_json(folder: Path, **changes: Any) -> None:
    (folder / "tokenizer.json").write_text(json.dumps(TINY | changes))


def byte_level_files(folder: Path) -> Any:
    """Write vocab.json and merges.txt, and return the tokenizer that they are made of."""
    own = tokenizers.Tokenizer.from_str(trained("bytes", SENTENCES * 4, 300))
    model = json.loads(own.to_str())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    return own


def read(folder: Path, size: int = SIZE) -> TextTokenizer:
    found = tokenizer(folder, size)
    assert found is not None
    return reader(found.content)


def test_older_files_have_no_kind_of_model_and_merges_as_texts(tmp_path: Path) -> None:
    write_json(tmp_path)
    made = read(tmp_path, 13)
    assert made.encode("ab a<|im|>b\u00e9") == [6, 8, 9, 5]  # a byte without a token is left out
    assert made.text([1, 6, 8, 9, 5, 12]) == "ab ab"
    assert made.size == 13


def test_vocabulary_and_merges_of_older_folders(tmp_path: Path) -> None:
    own = byte_level_files(tmp_path)
    made = read(tmp_path)
    for line in (*SENTENCES, "two  spaces\n", "caf\u00e9"):
        assert made.encode(line) == own.encode(line).ids
        assert made.text(made.encode(line)) == line
    end = own.token_to_id("</s>")
    assert made.encode("x</s>")[-1] == end  # </s> is special where no file says so
    (tmp_path / "tokenizer_config.json").write_text('{"add_prefix_space": true}')
    assert read(tmp_path).encode("cat") == own.encode(" cat").ids


def test_pieces_of_words_of_older_folders(tmp_path: Path) -> None:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, "the", "cat", "##s", "sat", "."]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    made = read(tmp_path, len(words))
    assert made.encode("The cats[SEP] s\u00e0t. dog") == [5, 6, 7, 3, 8, 9, 1]
    assert made.text([2, 5, 6, 7, 9, 3]) == "the cats."
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert read(tmp_path, len(words)).encode("The the") == [1, 5]


def test_a_file_of_another_kind_with_the_name_of_a_sentencepiece_model(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"IQ== 0\nIg== 1\n")
    write_json(tmp_path)
    assert read(tmp_path, 13).encode("ab") == [6]
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer\.model: .*SentencePiece model: "):
        tokenizer(tmp_path, 13)


@pytest.mark.parametrize("name", ["added_tokens.json", "tokenizer_config.json", "tokenizer.json"])
def test_tokens_that_files_add(name: str, tmp_path: Path) -> None:
    token = {"id": 310, "content": CHAT, "special": True, "normalized": False}
    told = {
        "added_tokens.json": {CHAT: 310},
        "tokenizer_config.json": {"added_tokens_decoder": {"310": token}},
        "tokenizer.json": None,
    }[name]
    own = byte_level_files(tmp_path)
    if told is None:
        parts = json.loads(own.to_str()) | {"added_tokens": [token]}
        (tmp_path / name).write_text(json.dumps(parts))
    else:
        (tmp_path / name).write_text(json.dumps(told))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"eos_token": "</s>"}))
    made = read(tmp_path)
    ids = made.encode(f"{CHAT}user{CHAT}")
    assert (ids[0], ids[-1]) == (310, 310)
    assert ids[1:-1] == own.encode("user").ids
    assert made.pieces([310]) == [CHAT]
    assert made.text(ids) == ("user" if name != "added_tokens.json" else f"{CHAT}user{CHAT}")
    assert made.encode("</s>") == [own.token_to_id("</s>")]


def test_ids_are_those_of_an_installed_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="it is the reference")
    byte_level_files(tmp_path)
    told = {"tokenizer_class": "GPT2Tokenizer", "unk_token": "<unk>", "bos_token": "<s>",
            "eos_token": "</s>", "added_tokens_decoder": {
                "310": {"content": CHAT, "special": True, "normalized": False, "lstrip": False,
                        "rstrip": False, "single_word": False}}}  # fmt: skip
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    other = transformers.AutoTokenizer.from_pretrained(tmp_path)
    made = read(tmp_path)
    number = other.convert_tokens_to_ids(CHAT)
    for line in (*SENTENCES, f"a {CHAT} b</s>", "x\n\ny  z"):
        wanted = other.encode(line, add_special_tokens=False)
        found = [number if token == 310 else token for token in made.encode(line)]
        assert found == wanted


def test_pieces_of_words_are_those_of_an_installed_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="it is the reference")
    own = tokenizers.Tokenizer.from_str(trained("wordpiece", SENTENCES * 4, 300))
    listed = [own.id_to_token(i) for i in range(own.get_vocab_size() - 2)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *listed[3:]]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    other = transformers.AutoTokenizer.from_pretrained(tmp_path)
    made = read(tmp_path)
    for line in (*SENTENCES, "C\u00e0ts[MASK] \u6f22 !?"):
        assert made.encode(line) == other.encode(line, add_special_tokens=False)


def sentencepiece_file(folder: Path) -> None:
    pieces = ["<unk>", "<s>", "</s>", "\u2581", *"abc"]
    kept = {piece: Piece(-float(i)) for i, piece in enumerate(pieces)}
    (folder / "tokenizer.model").write_bytes(byte_pairs(kept, unk="<unk>", bos="<s>", eos="</s>"))


def test_a_sentencepiece_model_comes_first_unless_it_cuts_tokens(tmp_path: Path) -> None:
    sentencepiece_file(tmp_path)
    write_json(tmp_path, added_tokens=TINY["added_tokens"][:3])
    assert read(tmp_path, 13).encode("ab") == [3, 4, 5]
    write_json(tmp_path)
    assert read(tmp_path, 13).encode("ab<|im|>") == [6, 9]
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "added_tokens.json").write_text('{"<|im|>": 9, "<tool call>": 11}')
    made = read(tmp_path, 13)
    assert made.encode("ab<|im|>b<tool call>") == [3, 4, 5, 9, 5, 11]
    assert made.pieces([8, 10, 12]) == ["<unused8>", "<unused10>", "<unused12>"]


def test_decoders_take_it(tmp_path: Path) -> None:
    write_json(tmp_path)
    path = tiny_decoders.write(tmp_path, "llama, llama3", eos_token_id=[2, 9])
    model = sources.read(path)
    assert tokenize(model, ["ab a"]) == [[6, 8, 2]]
    assert (model.generation.ends, model.generation.unk) == ((2, 9), 2)
    assert tmp_path / "tokenizer.json" in sources.files(path)
    output = tmp_path / "x.safetensors"
    assert main([str(path), "-o", str(output), "-q"]) == 0
    found = int8ref.LanguageModel(load(output), backend="reference")
    assert found.model.program.more_eos == (9,)
    text = found.generate("ab<|im|> a")
    assert text.prompt == "ab<|im|> a"
    assert text.text.startswith("ab a")
    assert not {2, 9} & set(text.ids)


def test_bart_takes_it(tmp_path: Path) -> None:
    write_json(tmp_path)
    config = tiny_hugging_face.BART
    path = tiny_hugging_face.write(tmp_path, tiny_hugging_face.bart_tensors(), **config)
    model = sources.read(path)
    assert tokenize(model, ["ab a"]) == [[1, 6, 8, 2]]
    assert model.tokenizers["source"] == model.tokenizers["target"]
    calibration = tmp_path / "text.txt"
    calibration.write_text("ab a\nb ab a\n" * 20)
    output = tmp_path / "x.safetensors"
    assert main([str(path), "-o", str(output), "-q", "--calibration", str(calibration)]) == 0
    translated = int8ref.load(output, backend="reference").translate("ab a")
    assert isinstance(translated.text, str)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model": {"vocab": [], "merges": []}}, "not supported: model"),
        ({"model": {"vocab": {"a": 0}, "merges": ["a b"]}}, "the merge 'a' 'b' is not of"),
        ({"model": {"vocab": {"a": 90}, "merges": []}}, "a tokenizer of 91 tokens for 13 embed"),
        (
            {"normalizer": {"type": "Custom"}},
            "normalizer.type: Invalid value 'Custom', which is not",
        ),
        ({"pre_tokenizer": []}, "pre_tokenizer: Expected"),
        ({"added_tokens": [{"content": "x"}]}, "missing required field `id`"),
        ({"model": []}, "no tokenizer, because it has no model"),
        ({"decoder": {"type": "CTC"}}, "decoder.type: Invalid value 'CTC'"),
    ],
)
def test_refused(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    write_json(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: ") as caught:
        tokenizer(tmp_path, 13)
    assert why in str(caught.value)


def test_holes_before_added_tokens() -> None:
    """The library would number the added tokens without the holes."""
    for vocabulary in ({"a": 0, "b": 1}, [["a", -1.0], ["b", -2.0]]):
        kind = "WordLevel" if isinstance(vocabulary, dict) else "Unigram"
        unk = {"unk_token": "b"} if isinstance(vocabulary, dict) else {"unk_id": 1}
        added = [{"id": 5, "content": "<x>"}, {"id": 3, "content": "<y>"}]
        told = {"model": {"type": kind, "vocab": vocabulary} | unk, "added_tokens": added}
        made = reader(of_json(json.dumps(told).encode(), 8))
        assert (made.encode("a<x><y>"), made.pieces([3, 5])) == ([0, 5, 3], ["<y>", "<x>"])
    for bad in (1, 1 << 23):
        with pytest.raises(CheckpointError):
            of_json(json.dumps(told | {"added_tokens": [{"id": bad, "content": "q"}]}).encode())


@FUZZ
@given(data=st.data())
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    write_json(tmp_path)
    (tmp_path / "added_tokens.json").write_text('{"<|im|>": 9, "<x>": 10}')
    names = ("tokenizer.json", "added_tokens.json")
    damage(data, [tmp_path / name for name in names], 4000)
    with contextlib.suppress(CheckpointError):
        tokenizer(tmp_path, 13)
