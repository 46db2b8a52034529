"""Packages of Argos Translate as they are downloaded (.argosmodel): a zip of one folder.

    NAME/metadata.json                   from_code, to_code, perhaps target_prefix
    NAME/model/                          a model of CTranslate2
    NAME/sentencepiece.model             the tokenizer of both sides

Members are expanded in memory.  Only the small files that CTranslate2's reader expects beside a
model are written, under their own names, to a folder that is removed after the reading.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel
from weights_import.sources import ctranslate2_transformer, zip_members
from weights_import.sources.checkpoint_bytes import HeldBytes
from weights_import.sources.ctranslate2_file import parsed
from weights_import.sources.ctranslate2_text import ABOVE, CODES, CONFIG, ENDINGS, METADATA

FORMAT = "Argos Translate package (.argosmodel)"
FOLDER, MODEL = "model", "model.bin"
VOCABULARIES = tuple(
    f"{side}_vocabulary{ending}" for side in ("shared", "source", "target") for ending in ENDINGS
)
SMALL = {
    **{name: name for name in (METADATA, ABOVE, CODES)},
    **{f"{FOLDER}/{name}": f"{FOLDER}/{name}" for name in (CONFIG, *VOCABULARIES)},
}
"""The files that are read beside the model, by their places in the package."""
PLACE = re.compile(r"([^/\\]+)/(.+)")


def recognises(path: Path) -> bool:
    """Whether the file is a zip with the metadata and the model of such a package."""
    places = {name.partition("/")[2] for name in zip_members.names(path)}
    return {METADATA, f"{FOLDER}/{MODEL}"} <= places


def companions(path: Path) -> list[Path]:
    """No other file, because a package has everything."""
    return []


def read(path: Path) -> FloatModel:
    """Reads a package; raises CheckpointError with what is wrong."""
    with located(path):
        return _read(path, _members(path))


def _members(path: Path) -> dict[str, bytes]:
    """The members that are read, by their places in the folder of the package.

    Raises CheckpointError for members of several folders.
    """
    wanted = {*SMALL, f"{FOLDER}/{MODEL}"}

    def is_wanted(name: str) -> bool:
        found = PLACE.fullmatch(name)
        return found is not None and found[2] in wanted

    found = zip_members.members(path, is_wanted)
    folders = {name.partition("/")[0] for name in found}
    if len(folders) != 1:
        raise CheckpointError(f"a package has one folder, but this one has {len(folders)}")
    return {name.partition("/")[2]: content for name, content in found.items()}


def _read(path: Path, members: dict[str, bytes]) -> FloatModel:
    content = members.pop(f"{FOLDER}/{MODEL}", None)
    if content is None:
        raise CheckpointError(f"no {FOLDER}/{MODEL}")
    contents = parsed(content, HeldBytes(content))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FOLDER).mkdir()
        for name, small in members.items():
            (Path(folder) / SMALL[name]).write_bytes(small)
        try:
            model = ctranslate2_transformer.made(Path(folder) / FOLDER / MODEL, contents)
        except CheckpointError as error:
            raise CheckpointError(str(error).replace(folder, path.name)) from None
    model.provenance |= {
        "file": path.name,
        "format": "Argos Translate",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    model.wanted = f"{ABOVE} in the package"
    return model
