"""The models that have names: what they are, and whether they are on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from int8ref.errors import ModelError
from int8ref.files import embedded, model_file
from int8ref.files.models import MODELS, Published, imported_model


@dataclass(frozen=True)
class Available:
    """A model that has a name.

    name       the name that `load` takes
    languages  codes of the source language and of the target language
    licence    licence of the weights
    size       number of bytes of the model file
    sha256     SHA-256 of the model file, the same on every machine
    origin     source of the weights
    path       the model file, or None if it is not on this machine yet
    missing    empty, or what a first use does or needs, if there is no path
    """

    name: str
    languages: tuple[str, str]
    licence: str
    size: int
    sha256: str
    origin: str
    path: Path | None
    missing: str = ""


def available() -> list[Available]:
    """Return the models that have names.  Nothing is imported or downloaded.

    Raises `ModelFileError` if a model of the package is damaged.
    """
    published = [_published(name, model) for name, model in MODELS.items()]
    return [*published, *(_embedded(name) for name in embedded.names())]


def _published(name: str, model: Published) -> Available:
    path, missing = None, ""
    try:
        path = imported_model(name)
        if path is None:
            missing = "the first use imports it"
    except ModelError as error:
        missing = str(error)
    told = name, model.languages, model.licence, model.size, model.sha256, model.origin
    return Available(*told, path, missing)


def _embedded(name: str) -> Available:
    path = embedded.FOLDER / f"{name}.safetensors"
    model = model_file.load(path)
    licence, origin = (model.provenance.get(key, "") for key in ("licence", "origin"))
    size = path.stat().st_size
    return Available(name, model.languages, licence, size, model.sha256, origin, path)
