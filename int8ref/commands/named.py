"""The model that a file names: a file may name a model of int8ref, and must not choose a path."""

from __future__ import annotations

from int8ref.errors import ModelError


def named(name: str | None, sha256: str) -> str:
    """Return the name if it is the name of a model of int8ref.

    Raises `ModelError` that asks for the file.
    """
    from int8ref.files import embedded
    from int8ref.files.models import MODELS

    if name in (*MODELS, *embedded.names()):
        return str(name)
    told = f"the file is of the model {name!r}, which has the SHA-256 {sha256}"
    raise ModelError(f"{told}: give the file of this model with --model")
