"""The languages of a model of many languages, and the tokens that tell them.

NLLB, M2M100, mBART   every source has the token of its language, and every translation begins with
                      the token of its own
OPUS-MT               every source begins with the token of the target language
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated

import msgspec

from int8ref.errors import UserError
from int8ref.program.source_frame import SourceFrame

MAX_CODE = 32
CODE_CHARACTERS = "A-Za-z0-9_@-"
"""Characters of the code of a language, as in a regular expression."""

Code = Annotated[str, msgspec.Meta(pattern=rf"\A[{CODE_CHARACTERS}]{{1,{MAX_CODE}}}\Z")]

Pair = tuple[str | None, str | None]

CLOSE = 5
"""The number of codes that an error lists."""


class LanguageError(UserError, ValueError):
    """A language that a model lacks, or one that a run has to choose.  The message says which."""


class TargetLanguage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tokens of a language that a model translates into.

    source  tokens before every source, outside its frame
    target  tokens that the decoder reads before every translation; they are no part of it
    """

    source: tuple[int, ...] = ()
    target: tuple[int, ...] = ()


class Direction(msgspec.Struct, frozen=True):
    """The tokens of a run: the frame of every source, and the tokens before every translation."""

    frame: SourceFrame
    forced: tuple[int, ...] = ()


class Languages(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The languages of a model by their codes, and the pair that a run has by default.

    sources  the frames of sources; empty if a source has no token of its language
    targets  the tokens of the languages that the model translates into
    source   default language of sources; unset: none
    target   default language of translations; unset: none
    """

    targets: dict[Code, TargetLanguage]
    sources: dict[Code, SourceFrame] = {}
    source: Code | msgspec.UnsetType = msgspec.UNSET
    target: Code | msgspec.UnsetType = msgspec.UNSET

    def pair(self, source: str | None, target: str | None) -> Pair:
        """The codes of a run; None means the default language.

        A code is None if no token tells the language.  Raises LanguageError for a language that the
        model lacks, and for one that has to be chosen.
        """
        if source is not None and not self.sources:
            raise LanguageError(
                "its sources have no token of their language: choose the target alone"
            )
        heard = self._chosen("source", source) if self.sources else None
        optional = target is None and self.target is msgspec.UNSET and self.target_is_optional
        return heard, None if optional else self._chosen("target", target)

    def direction(self, pair: Pair, usual: SourceFrame) -> Direction:
        """The tokens of a `pair`; `usual` is the frame of a source without a token of its
        language."""
        source, target = pair
        return self.into(target, usual if source is None else self.sources[source])

    def into(self, target: str | None, frame: SourceFrame) -> Direction:
        """The tokens of a run into a language, for a `frame` of its sources."""
        spoken = TargetLanguage() if target is None else self.targets[target]
        framed = SourceFrame((*spoken.source, *frame.before), frame.after)
        return Direction(framed, spoken.target)

    @property
    def target_is_optional(self) -> bool:
        """Whether a text may hold the token of the target language itself."""
        return not any(language.target for language in self.targets.values())

    def _chosen(self, side: str, language: str | None) -> str:
        """The code of a language, or of the default one; raises LanguageError without one."""
        codes = self.sources if side == "source" else self.targets
        default = self.source if side == "source" else self.target
        if language is not None:
            return code_of(language, codes, side)
        if default is msgspec.UNSET:
            raise LanguageError(f"the language of the {side} is one of {shown(codes)}: choose it")
        return str(default)

    def problems(self, vocabulary: int, sources: Collection[int], eos: int) -> Iterator[str]:
        """What is wrong for `vocabulary` tokens of the target, and `sources` of the source."""
        for name, default, codes in (
            ("source", self.source, self.sources), ("target", self.target, self.targets)
        ):  # fmt: skip
            if default is not msgspec.UNSET and default not in codes:
                yield f"the default {name} {default!r} is not among the languages"
        if not self.targets:
            yield "no language of the target"
        for code, language in self.targets.items():
            outside = [t for t in language.target if not 0 <= t < vocabulary or t == eos]
            outside += [t for t in language.source for size in sources if not 0 <= t < size]
            if outside:
                yield f"{code}: {outside} are no tokens"
        for code, frame in self.sources.items():
            ids = (*frame.before, *frame.after)
            outside = [t for t in ids for size in sources if not 0 <= t < size]
            if outside:
                yield f"{code}: {outside} of {min(sources)} tokens"

    @property
    def longest(self) -> tuple[int, int]:
        """The most tokens around a source, and before a translation."""
        around = max((frame.size for frame in self.sources.values()), default=0)
        before = max((len(one.source) for one in self.targets.values()), default=0)
        return around + before, max((len(one.target) for one in self.targets.values()), default=0)


def code_of(language: str, codes: Collection[str], side: str) -> str:
    """The code that a user means: in any case, with - or _, or its first part alone where no other
    code begins with that.

    Raises LanguageError with the closest codes.
    """
    if language in codes:
        return language
    wanted = _plain(language)
    same = [code for code in codes if _plain(code) == wanted]
    begin = [code for code in codes if _plain(code).startswith(f"{wanted}_")]
    for found in (same, begin):
        if len(found) == 1:
            return found[0]
    import difflib  # loaded on first use: only this error needs it

    plain = {_plain(code): code for code in sorted(codes)}
    close = begin or [plain[c] for c in difflib.get_close_matches(wanted, plain, CLOSE, 0)]
    raise LanguageError(
        f"no language {language!r:.80} of the {side}: the closest of {len(codes)} are"
        f" {shown(close)}"
    )


def shown(codes: Collection[str]) -> str:
    """The first codes, for a message."""
    first = ", ".join(sorted(codes)[:CLOSE])
    return f"{first}, ... ({len(codes)} in all)" if len(codes) > CLOSE else first


def _plain(code: str) -> str:
    return code.casefold().replace("-", "_")
