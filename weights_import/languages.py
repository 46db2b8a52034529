"""Codes of languages (BCP 47): one, or source and target joined by a hyphen.

en-pt         en, pt            two languages of two or three lower-case letters
en-pt_BR      en, pt-BR         an underscore joins what is of one code
en-pt-BR      en, pt-BR         and so does a hyphen, where no language can follow
zh_hans-en    zh-Hans, en
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LANGUAGE = re.compile(r"[A-Za-z]{2,3}")  # ISO 639
SCRIPT = re.compile(r"[A-Za-z]{4}")  # ISO 15924
REGION = re.compile(r"[A-Za-z]{2}|[0-9]{3}")  # ISO 3166-1, UN M.49
VARIANT = re.compile(r"[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}")
UPPER = re.compile(r"[A-Z]{2}|[0-9]{3}")
"""A region that a hyphen may join to a language in lower case, because a second language would be
in lower case too."""


def codes_of(parts: Sequence[str]) -> tuple[str, ...]:
    """The codes in the parts between the hyphens of a text, as BCP 47 writes them.

    The result is empty if a part belongs to no code.
    """
    groups: list[list[str]] = []
    for part in parts:
        first, *rest = part.split("_")
        region = groups and groups[-1][0].islower() and UPPER.fullmatch(first)
        joined = groups and (SCRIPT.fullmatch(first) or region or VARIANT.fullmatch(first))
        if joined:
            groups[-1] += [first, *rest]
        else:
            groups.append([first, *rest])
    found = tuple(code(group) for group in groups)
    return found if all(found) else ()


def pair_in(name: str) -> tuple[str, ...]:
    """Source and target in the name of a model, such as en-pt.

    The result is empty for another name, such as my-new-model, whose last part could be a variant.
    """
    found = codes_of(name.split("-"))
    plain = len(found) == 2 and not any(map(VARIANT.fullmatch, re.split("[-_]", name)))
    return found if plain else ()


def code(subtags: Sequence[str]) -> str:
    """The code of subtags: a language, and perhaps a script, a region and variants.

    The result is empty for other subtags.
    """
    language, *rest = subtags
    if not LANGUAGE.fullmatch(language):
        return ""
    written = [language.lower()]
    for kind, writing in ((SCRIPT, str.title), (REGION, str.upper)):
        if rest and kind.fullmatch(rest[0]):
            written.append(writing(rest.pop(0)))
    while rest and VARIANT.fullmatch(rest[0]):
        written.append(rest.pop(0).lower())
    return "" if rest else "-".join(written)


def primary(language: str) -> str:
    """The language of a code, without its script, region and variants."""
    return language.partition("-")[0]
