"""The tokenizers of FSMT: codes of fastBPE, and a vocabulary for each side.

vocab-src.json, vocab-tgt.json   the ids of the pieces; a piece that ends its word has </w>
merges.txt                       the codes of both sides
tokenizer_config.json            whether texts are lowercased
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from weights_import.errors import CheckpointError
from weights_import.sources import json_file
from weights_import.sources.subword import END, subword_tokenizer
from weights_import.sources.tokenizers import read_limited, read_vocabulary

CODES, CONFIG = "merges.txt", "tokenizer_config.json"
VOCABULARIES = {"source": "vocab-src.json", "target": "vocab-tgt.json"}
SPECIAL = "<s>", "<pad>", "</s>", "<unk>"
WANTED = f"{CODES}, {' and '.join(VOCABULARIES.values())}"


class _Config(msgspec.Struct, frozen=True):
    """What is read of the configuration of the tokenizer."""

    do_lower_case: bool = False


def files(folder: Path) -> list[Path]:
    """The files of the tokenizers that a folder has."""
    named = [folder / name for name in (CODES, CONFIG, *VOCABULARIES.values())]
    return [path for path in named if path.is_file()]


def tokenizers(folder: Path, sizes: tuple[int, int]) -> dict[str, bytes]:
    """The tokenizers of both sides, for vocabularies of these sizes; none unless all files are
    there.

    Raises CheckpointError for damaged files, and for a vocabulary of another model.
    """
    paths = {side: folder / name for side, name in VOCABULARIES.items()}
    if not all(path.is_file() for path in (folder / CODES, *paths.values())):
        return {}
    codes, told = read_limited(folder / CODES), folder / CONFIG
    lowercase = told.is_file() and json_file.read(told, _Config).do_lower_case
    found = {}
    for (side, path), size in zip(paths.items(), sizes, strict=True):
        try:
            found[side] = subword_tokenizer(
                codes,
                read_vocabulary(path),
                special=SPECIAL,
                end=END,
                lowercase=lowercase,
                size=size,
            )
        except CheckpointError as error:
            raise CheckpointError(f"{path.name} with {CODES}: {error}") from None
    return found
