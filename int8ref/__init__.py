"""Translation with integers only: the same bits everywhere.

    >>> import int8ref
    >>> translator = int8ref.load("en-pt")
    >>> print(translator.translate("Good morning.").text)
    Bom dia.

The first use of a name in `__all__` imports its module, because `import int8ref` must be fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from int8ref.host import missing

missing.tell()

if TYPE_CHECKING:
    from int8ref.encoder import Classification, Embedding, Encoder
    from int8ref.engines.backends import load_engine
    from int8ref.errors import UserError
    from int8ref.files.available import Available, available
    from int8ref.files.importing import import_model
    from int8ref.language_model import LanguageModel
    from int8ref.options import OptionError, Options
    from int8ref.pivot import Pivot
    from int8ref.results import (
        Alignment,
        Continuation,
        Languages,
        LikelyToken,
        Result,
        Scores,
        Translation,
    )
    from int8ref.search.hypothesis import BeamOptions, Hypothesis, Sampling
    from int8ref.search.request import Path, Request
    from int8ref.translation.alignment import AlignmentError
    from int8ref.translation.perplexity import Perplexity
    from int8ref.translation.ready import Speed
    from int8ref.translator import Translator, load

    __version__: str

__all__ = [
    "Alignment", "AlignmentError", "Available", "BeamOptions", "Classification", "Continuation",
    "Embedding", "Encoder", "Hypothesis", "LanguageModel", "Languages", "LikelyToken",
    "OptionError", "Options", "Path", "Perplexity", "Pivot", "Request", "Result", "Sampling",
    "Scores", "Speed", "Translation", "Translator", "UserError", "available", "import_model",
    "load", "load_engine",
]  # fmt: skip

_PLACES = {
    "encoder": ("Classification", "Embedding", "Encoder"),
    "engines.backends": ("load_engine",),
    "errors": ("UserError",),
    "files.available": ("Available", "available"),
    "files.importing": ("import_model",),
    "language_model": ("LanguageModel",),
    "options": ("OptionError", "Options"),
    "pivot": ("Pivot",),
    "results": (
        "Alignment",
        "Continuation",
        "LikelyToken",
        "Languages",
        "Result",
        "Scores",
        "Translation",
    ),
    "search.hypothesis": ("BeamOptions", "Hypothesis", "Sampling"),
    "search.request": ("Path", "Request"),
    "translation.alignment": ("AlignmentError",),
    "translation.perplexity": ("Perplexity",),
    "translation.ready": ("Speed",),
    "translator": ("Translator", "load"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("int8ref.host.installed").ours()
    for module, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f"int8ref.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
