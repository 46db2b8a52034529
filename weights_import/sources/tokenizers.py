"""The tokenizers beside a checkpoint: SentencePiece models, and the vocabularies that number them.

one .spm of another name          both sides
src*, source* and trg*, target*   a side each
a file *vocab*.yml or vocab.json  the ids of the pieces, where they are not their places in the
                                  model (OPUS-MT); one for both sides, or named as the models, or
                                  vocab.json and target_vocab.json
"""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import cache
from pathlib import Path

import yaml  # type: ignore[import-untyped, unused-ignore]

from weights_import.errors import CheckpointError
from weights_import.sources.checkpoint_bytes import one_line
from weights_import.sources.signatures import HEAD_BYTES, stand_in
from weights_import.sources.vocabulary import renumbered

MAXIMUM_TOKENIZER_BYTES = 1 << 26
SIDES = {"source": ("src", "source"), "target": ("trg", "target")}
MODELS = "*.spm"
UNREAD = "tokenizer.json", "merges.txt", "bpe.codes"
VOCABULARIES = "*vocab*.yml", "vocab.json", "target_vocab.json"


def tokenizers_in(
    folder: Path, leave_out: Collection[str] = (), controls: Collection[str] = ()
) -> dict[str, bytes]:
    """SentencePiece models of "source" and "target", as far as there are any; the vocabularies that
    number them are read without the pieces to `leave_out`, and no text has their `controls`.

    Raises CheckpointError for a file that is too large or damaged.
    """
    vocabularies = vocabularies_in(folder)
    numbered = cache(read_vocabulary)  # one list may serve both sides
    found = {}
    for side, path in by_side(list(folder.glob(MODELS))).items():
        content = read_limited(path)
        if side in vocabularies:
            listed = vocabularies[side]
            try:
                ids = numbered(listed)
                kept = {piece: i for piece, i in ids.items() if piece not in leave_out}
                content = renumbered(content, kept, controls=controls)
            except CheckpointError as error:
                raise CheckpointError(f"{path.name} with {listed.name}: {error}") from None
        found[side] = content
    return found


def vocabularies_in(folder: Path) -> dict[str, Path]:
    """The list that numbers the pieces of each side.

    If the target has its own list, vocab.json is the list of the source.  Raises CheckpointError
    for a list of neither side.
    """
    files = [path for pattern in VOCABULARIES for path in folder.glob(pattern)]
    found, first = by_side(files), folder / "vocab.json"
    if "target" in found and first.is_file():
        found = {"source": first, **found}
    if len(files) > len(found):
        names = ", ".join(sorted(path.name for path in files))
        raise CheckpointError(f"several vocabularies, and no telling which is meant: {names}")
    return found


def tokenizer_files(folder: Path) -> list[Path]:
    """The files that `tokenizers_in` may read."""
    return [path for pattern in (MODELS, *VOCABULARIES) for path in folder.glob(pattern)]


def unread_tokenizers(folder: Path, wanted: str) -> str:
    """A sentence about the tokenizers in a folder that are not `wanted`."""
    found = [name for name in UNREAD if (folder / name).is_file() and name not in wanted]
    return f"; {' and '.join(found)} there cannot be used, because only that is read" * bool(found)


def names_of_models(sides: Collection[str]) -> str:
    """The possible names of the SentencePiece models of these sides."""
    named = [f"{start}{MODELS}" for side in sides for start in SIDES[side]]
    return f"one {MODELS} alone, or {', '.join(named)}"


def by_side(paths: list[Path]) -> dict[str, Path]:
    """The file of each side; none for a side with several.

    A single file serves both sides, unless its name says that it belongs to one side.
    """
    files = [path for path in paths if path.is_file()]
    named = {
        side: [f for f in files if f.name.startswith(starts)] for side, starts in SIDES.items()
    }
    if len(files) == 1 and not any(named.values()):
        return dict.fromkeys(SIDES, files[0])
    return {side: match[0] for side, match in named.items() if len(match) == 1}


def read_limited(path: Path) -> bytes:
    """A whole file, unless it is larger than any tokenizer, or stands where the file should be."""
    if path.stat().st_size > MAXIMUM_TOKENIZER_BYTES:
        raise CheckpointError(f"{path}: more than {MAXIMUM_TOKENIZER_BYTES} bytes")
    content = path.read_bytes()
    if said := stand_in(content[:HEAD_BYTES]):
        raise CheckpointError(f"{path.name}: {said}")
    return content


def read_vocabulary(path: Path) -> dict[str, int]:
    """Ids by piece, from YAML, as Marian writes it, or from JSON.

    YAML does not change names to other types.
    """
    text = read_limited(path)
    try:
        if path.suffix == ".json":
            values = json.loads(text)
        else:
            values = yaml.load(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
        return {str(piece): _number(number) for piece, number in values.items()}
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"not a list of pieces: {one_line(error)}") from None


def _number(found: object) -> int:
    """An integer from an integer of JSON or from a text; raises ValueError for anything else."""
    if isinstance(found, bool) or not isinstance(found, int | str):
        raise ValueError(f"an id is of type {type(found).__name__}")
    return int(found)
