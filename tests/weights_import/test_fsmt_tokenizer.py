"""The tokenizers of FSMT: codes of fastBPE with a vocabulary for each side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_seq2seq as tiny

from int8ref.text.tokenizers import build_tokenizer
from weights_import import sources
from weights_import.__main__ import tokenizers
from weights_import.errors import CheckpointError

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
PIECES = [*SPECIAL, "l", "o", "w</w>", "lo", "low</w>", "e", "r</w>", "er</w>", "w", "n", "e</w>"]
CODES = "l o 9\nlo w</w> 8\ne r</w> 7\n"
SIZES = {"source": 15, "target": 13}
FILES = {"source": "vocab-src.json", "target": "vocab-tgt.json"}


def write(folder: Path) -> Path:
    """Write a tiny checkpoint with the files of its tokenizers."""
    path = tiny.write(folder, "fsmt")
    for side, name in FILES.items():
        listed = {piece: i for i, piece in enumerate(PIECES[: SIZES[side]])}
        (folder / name).write_text(json.dumps(listed))
    (folder / "merges.txt").write_text(CODES)
    return path


def test_pieces_of_both_sides(tmp_path: Path) -> None:
    model = sources.read(write(tmp_path))
    source, target = (
        build_tokenizer(made, SIZES[side])
        for side, made in zip(FILES, tokenizers(model), strict=True)
    )
    assert source.pieces(source.encode("low lower lone")) == [
        "low</w>", "lo", "w", "er</w>", "lo", "n", "e</w>",
    ]  # fmt: skip
    assert target.encode("low now") == [8, 3, 5, 6]  # n has no id here
    assert target.text([8, 7, 12, 11, 2]) == "low lower"
    assert source.encode("Low") == [3, 5, 6]


def test_lowercased_texts(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": true, "langs": ["en"]}')
    source = build_tokenizer(tokenizers(sources.read(path))[0], SIZES["source"])
    assert source.encode("Low") == [8]


@pytest.mark.parametrize("missing", ["merges.txt", *FILES.values()])
def test_all_files_are_needed(missing: str, tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / missing).unlink()
    model = sources.read(path)
    with pytest.raises(CheckpointError, match=r"looked for merges\.txt, vocab-src\.json and"):
        tokenizers(model)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("merges.txt", "l o w e", r"vocab-src\.json with merges\.txt: codes: line 1 is no pair"),
        ("vocab-src.json", "[]", r"vocab-src\.json with merges\.txt: not a list of pieces"),
        ("vocab-tgt.json", '{"a": 0}', r"vocab-tgt\.json with merges\.txt: vocabulary: no <unk>"),
        ("vocab-tgt.json", json.dumps(dict(zip(PIECES, range(15), strict=True))), "13 embeddings"),
        ("tokenizer_config.json", '{"do_lower_case": 1}', "do_lower_case"),
    ],
)
def test_damaged_files(name: str, content: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(CheckpointError, match=message):
        sources.read(path)
