"""The reason why a file or a folder is not read, from the table of `signatures`.

The content of a file determines its kind.  The name counts only if the content is of a format that
is read.  This module opens only the first bytes of a file, what names its tensors, the list of
members of a zip, and the configurations beside it.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from weights_import.errors import CheckpointError
from weights_import.sources import containers, json_file, shards, unread_kinds
from weights_import.sources.hugging_face_config import CONFIG, config_file, unread
from weights_import.sources.signatures import (
    ADAPTER,
    HEAD_BYTES,
    HEADERS,
    IMPORTED,
    MEMBERS,
    OWN,
    SIGNS,
    TENSORFLOW,
    TENSORFLOW_INDEX,
)

MAXIMUM_MEMBERS = 1 << 16
MAXIMUM_FILES = 1 << 12
"""Of a folder, that are looked at."""
TEXTS = (".json", ".txt", ".md", ".spm", ".vocab", ".yml", ".yaml", ".py")
"""Files of these names are no weights, whatever they begin with, unless one is asked for."""
PART = (
    f"a part of a checkpoint, without the index (NAME{shards.INDEX}) that lists the parts; put the"
    " index and all parts into one folder"
)
TOKENIZERS = "tokenizer.json", "vocab.json", "tokenizer.model"


def reason(path: Path, kinds: Sequence[str]) -> str:
    """Why nothing is read of a file, or of a folder that holds no checkpoint, and the way round, in
    one sentence that names the file; empty where that is not known.

    `kinds`: the kinds of models of transformers that are read.
    """
    if not path.is_dir() and not path.is_file():
        return f"{path}: neither a regular file nor a folder"
    files = list(_files(path)) if path.is_dir() else [path]
    weights = [file for file in files if file.suffix not in TEXTS or file == path]
    looks = (
        (weights, _of_names),
        (weights, partial(_of_kind, kinds=kinds)),
        (weights, _of_bytes),
        (files, partial(_of_name, kinds=kinds)),
        (weights, _of_own),
    )
    for looked_at, look in looks:
        for file in looked_at:
            if said := look(file):
                return f"{file}: {said}"
    return ""


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder that may be meant, the largest first."""
    found = [file for file, _ in zip(folder.iterdir(), range(MAXIMUM_FILES), strict=False)]
    yield from sorted((f for f in found if f.is_file()), key=lambda f: (-f.stat().st_size, f.name))


def _names(path: Path) -> bytes:
    """The part of a container that names its tensors; empty for other files, and for the files that
    the importer writes."""
    found = containers.outline(path)
    return b"" if OWN.search(found) else found


def _of_names(path: Path) -> str:
    """What the names of the tensors tell of the weights."""
    names = _names(path)
    for known, said in HEADERS:
        if known.search(names):
            return said
    is_part = names and containers.is_part(path) and containers.whole([path]) == [path]
    return _of_part(path) if is_part else ""


def _of_part(path: Path) -> str:
    """Why no index lists a part of a checkpoint."""
    problems = map(containers.problem, shards.in_folder(path.parent))
    return next(filter(None, problems), PART)


def _of_kind(path: Path, kinds: Sequence[str]) -> str:
    """What the configuration beside weights tells of a model that is not read."""
    container, file = bool(_names(path)), config_file(path)
    if not container and not _of_bytes(path):
        return ""
    told = _of_config(file, kinds) if file.is_file() else ""
    if told or not container:
        return told
    if problem := containers.problem(path):
        return problem
    if not file.is_file():
        return (
            f"{containers.title(path)} without the {CONFIG} that tells which model its tensors are"
            " of; put that file beside it"
        )
    return f"its tensors are not those of the model that {file.name} tells of"


def _of_config(file: Path, kinds: Sequence[str]) -> str:
    """A sentence about a configuration of a model that is not read.

    It is empty for the `kinds` that are read, and for configurations of other programs.
    """
    try:
        told = json_file.parse_file(file)
    except CheckpointError as error:
        return f"its configuration is damaged: {error}"
    if not isinstance(told, dict):
        return f"its configuration is damaged: {file.name}: not a JSON object"
    found = told.get("model_type")
    if not isinstance(found, str):
        return ""
    if found not in kinds:
        return f"{file.name} tells of a model of kind {found!r:.60}, {_unread_kind(told, kinds)}"
    problem = unread(told)
    return f"{file.name}: {problem}" if problem else ""


def _unread_kind(told: Mapping[str, Any], kinds: Sequence[str]) -> str:
    """Why a kind is not read, and the way round."""
    found = unread_kinds.reason(told) or unread_kinds.Reason("")
    way = found.way or f"the kinds that are read are {', '.join(kinds)}"
    return f"which is not read{', ' * bool(found.why)}{found.why}; {way}"


def _of_bytes(path: Path) -> str:
    """What the first bytes of a file tell, or the last, or the members of a zip."""
    with path.open("rb") as file:
        start = file.read(HEAD_BYTES)
        file.seek(max(0, path.stat().st_size - len(TENSORFLOW_INDEX)))
        end = file.read(len(TENSORFLOW_INDEX))
    if not start:
        return "an empty file; download it again"
    for sign in SIGNS:
        if sign.start.match(start):
            return sign.said
    if end == TENSORFLOW_INDEX:
        return TENSORFLOW
    return _of_zip(path) if start.startswith(b"PK") else ""


def _of_zip(path: Path) -> str:
    """What the names of the members of a zip tell."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()[:MAXIMUM_MEMBERS]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        return f"a damaged zip archive ({error}); download it again"
    for known, said in MEMBERS:
        if any(known.fullmatch(name) for name in names):
            return said
    return "an empty zip archive"


def _of_name(path: Path, kinds: Sequence[str]) -> str:
    """What a file tells that lies beside weights, where there are none."""
    if path.name == "adapter_config.json":
        return ADAPTER
    if shards.is_index(path):
        return containers.problem(path)
    if path.name == CONFIG:
        return _of_config(path, kinds) or "a configuration alone; no weights are beside it"
    if path.name in TOKENIZERS:
        return "a tokenizer alone; no weights are beside it"
    return ""


def _of_own(path: Path) -> str:
    """That a file is one of those that the importer writes."""
    return IMPORTED if OWN.search(containers.outline(path)) else ""
