"""The default languages that an import chooses for a model of many languages."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import msgspec
from msgspec import UNSET

from int8ref.errors import UserError
from int8ref.program.languages import LanguageError, Languages, TargetLanguage, code_of, shown
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.languages import code

MANY = "mul"
"""The code of several languages (ISO 639-2)."""


def spoken(model: FloatModel, path: Path, source: str | None, target: str | None) -> FloatModel:
    """The model with default languages, which are the given ones, or else the checkpoint's own.

    Raises UserError for a language that the model lacks.  Raises CheckpointError without the
    language of the sources, because the calibration text is in one, and without a target that the
    decoder needs.
    """
    languages = model.generation.languages
    if languages is None:
        for side, language in (("source", source), ("target", target)):
            if language is not None:
                raise UserError(
                    f"--{side}-language {language:.80}: {path.name} has one pair of languages"
                )
        return model
    try:
        languages = languages if source is None else _source(languages, source)
        if target is not None:
            found = code_of(target, languages.targets, "target")
            languages = msgspec.structs.replace(languages, target=found)
    except LanguageError as error:
        raise UserError(f"{path.name}: {error}") from None
    if languages.sources and languages.source is UNSET:
        raise CheckpointError(
            f"{path}: a model of many languages; name the language of the calibration text by"
            f" --source-language, one of {shown(languages.sources)}"
        )
    generation = replace(model.generation, languages=languages)
    made = replace(model, generation=generation)
    provenance = {"source_language": languages.source, "target_language": languages.target}
    made.provenance |= {n: str(c) for n, c in provenance.items() if c is not UNSET}
    return _started(made, languages, path) if model.starts else made


def chosen(model: FloatModel) -> tuple[str, ...]:
    """The codes of the default languages (BCP 47) of a model of many languages, such as
    ("en-XX", "mul"); empty for another model."""
    languages = model.generation.languages
    if languages is None or not languages.sources:
        return ()
    return tuple(
        MANY if name is UNSET else code(re.split("[-_]", str(name))) or "und"
        for name in (languages.source, languages.target)
    )


def _source(languages: Languages, source: str) -> Languages:
    """The languages with another default of the source; raises LanguageError without such one."""
    if not languages.sources:
        raise LanguageError(
            f"--source-language {source:.80}: its sources have no token of their language"
        )
    return msgspec.structs.replace(languages, source=code_of(source, languages.sources, "source"))


def _started(model: FloatModel, languages: Languages, path: Path) -> FloatModel:
    """The model whose decoder begins with the token of its default target language."""
    if languages.target is UNSET:
        raise CheckpointError(
            f"{path}: the decoder begins with the token of a language; name the language by"
            f" --target-language, one of {shown(languages.targets)}"
        )
    target = str(languages.target)
    only = msgspec.structs.replace(languages, targets={target: TargetLanguage()})
    generation = replace(model.generation, start=model.starts[target], languages=only)
    return replace(model, generation=generation, starts={})
