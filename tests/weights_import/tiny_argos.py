"""Tiny packages of Argos Translate, made without it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import tiny_ctranslate2

from weights_import.sources.vocabulary import Piece, byte_pairs

METADATA: dict[str, Any] = {
    "package_version": "1.9", "argos_version": "1.9", "from_code": "pb", "from_name": "x",
    "to_code": "en", "to_name": "English", "target_prefix": "", "type": "translate",
}  # fmt: skip


def tokenizer() -> bytes:
    """Return a SentencePiece model of the pieces of both sides."""
    pieces = ["<unk>", "<s>", "</s>", "\u2581", *"abcdefghABCDEFG"]
    made = {piece: Piece(-float(i)) for i, piece in enumerate(pieces)}
    return byte_pairs(made, unk="<unk>", bos="<s>", eos="</s>")


def files(folder: Path, **changes: Any) -> dict[str, bytes]:
    """Return the files of a package by their places in its folder."""
    folder.mkdir(exist_ok=True)
    tiny_ctranslate2.write(folder)
    found = {f"model/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}
    found["metadata.json"] = json.dumps(METADATA | changes).encode()
    return {**found, "sentencepiece.model": tokenizer(), "README.md": b"A model.",
            "stanza/en/tokenize/x.pt": b"x" * 9}  # fmt: skip


def write(path: Path, content: dict[str, bytes], name: str = "translate-pb_en-1_9") -> Path:
    """Write a package, deflated as they are."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, one in content.items():
            archive.writestr(f"{name}/{place}", one)
    return path
