"""A tiny model of many languages: a token before a source, and a token before a translation."""

from __future__ import annotations

from msgspec.structs import replace

from int8ref.files.model_file import Model
from int8ref.program.languages import Languages, TargetLanguage
from int8ref.program.program import SourceFrame
from tests.helpers.models import build_tiny_model

TINY = build_tiny_model(2)
EOS = TINY.program.eos
TOKENS = {"eng_Latn": 5, "por_Latn": 6, "zho_Hans": 7, "zho_Hant": 8}
BOTH = Languages(
    sources={code: SourceFrame((token,), (EOS,)) for code, token in TOKENS.items()},
    targets={code: TargetLanguage(target=(token,)) for code, token in TOKENS.items()},
)
"""Languages as NLLB has them."""


def speaking(languages: Languages = BOTH) -> Model:
    """Return the tiny model with these languages."""
    program = replace(TINY.program, languages=languages)
    return Model("many", ("en", "pt"), program, TINY.tensors, TINY.source, TINY.target, {})
