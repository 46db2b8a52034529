"""Models by name, if the package with their checkpoints is installed."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

import pytest

from int8ref.files.model_file import Model
from int8ref.files.models import MODELS, load_model
from int8ref.files.wanted import WantedModel


@cache
def imported(name: str) -> Model:
    """Return the model of a name.  Skip the test if its files are not installed."""
    published = MODELS[name]
    try:
        found = version(published.distribution)
    except PackageNotFoundError:
        found = "nothing"
    if found != published.version:
        pytest.skip(f"needs {published.distribution}=={published.version}, found {found}")
    return load_model(WantedModel(name), print)[1]
