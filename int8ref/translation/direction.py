"""The languages of a run: the tokens that the options ask for, for a model of many languages."""

from __future__ import annotations

from msgspec import UNSET

from int8ref.files.model_file import Model
from int8ref.options import OptionError
from int8ref.program.languages import Direction, LanguageError, Pair
from int8ref.program.languages import Languages as Many
from int8ref.results import Languages


def pair_of(model: Model, source: str | None, target: str | None) -> Pair:
    """Return the codes of the languages of a run, for a model of many languages.

    A code is None if the run chooses no such language.  Raises the errors of `direction`.
    """
    languages = model.program.languages
    try:
        if isinstance(languages, Many):
            return languages.pair(source, target)
    except LanguageError as error:
        raise OptionError(f"model {model.name}: {error}") from None
    if source is not None or target is not None:
        told = "-".join(model.languages)
        raise OptionError(f"model {model.name} has one pair of languages, {told}: choose none")
    return None, None


def direction(model: Model, source: str | None, target: str | None) -> Direction:
    """Return the tokens around sources and before translations.

    `source`, `target`: languages, or None for the default of the model.  Raises `OptionError` for a
    language that the model lacks, for one that has to be chosen, and for any language if the model
    has one pair of languages.
    """
    languages, usual = model.program.languages, model.program.frame
    pair = pair_of(model, source, target)
    return languages.direction(pair, usual) if isinstance(languages, Many) else Direction(usual)


def languages_of(model: Model) -> Languages:
    """Return the languages of a model."""
    told = model.program.languages
    if not isinstance(told, Many):
        return Languages((), (), *model.languages)
    source = None if told.source is UNSET and told.sources else model.languages[0]
    return Languages(
        sources=tuple(sorted(told.sources)),
        targets=tuple(sorted(told.targets)),
        source=source if told.source is UNSET else told.source,
        target=None if told.target is UNSET else told.target,
    )
