"""The models of a service: translators by their languages, other models by their names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from int8ref.encoder import Encoder
from int8ref.errors import UserError
from int8ref.language_model import LanguageModel
from int8ref.options import OptionError
from int8ref.program.languages import Languages as Many
from int8ref.serving.service_errors import ServiceError
from int8ref.translation.direction import pair_of
from int8ref.translator import Translator

Ready = Translator | LanguageModel | Encoder
AUTO = "auto"
"""The source language that clients send to have the language detected."""
PAIRS = 4096
"""Number of pairs of languages whose model is remembered."""


class Route(msgspec.Struct, frozen=True):
    """The model of a pair of languages.

    place   place of the model
    source  language that the options name, or None
    target  language that the options name, or None
    """

    place: int
    source: str | None = None
    target: str | None = None


class Models:
    """The models of a service.

    every  the models in the order of the command line, each with its file

    Raises `UserError` if two models have one name, if two models translate the same pair of
    languages, or if a model labels texts.
    """

    def __init__(self, every: Sequence[tuple[Path, Ready]]) -> None:
        self.every = every
        self.names: dict[str, int] = {}
        self.pairs: dict[tuple[str, str], int] = {}
        self._many: list[int] = []
        for place, (_, ready) in enumerate(every):
            self._add(place, ready)
        self.route = lru_cache(PAIRS)(self._route)

    def _add(self, place: int, ready: Ready) -> None:
        name = ready.model.name
        if name in self.names:
            raise UserError(f"two models have the name {name}: one service needs different names")
        self.names[name] = place
        if isinstance(ready, Encoder) and ready.labels:
            raise UserError(f"model {name} labels texts: no interface of the service does that")
        if not isinstance(ready, Translator):
            return
        if isinstance(ready.model.program.languages, Many):
            self._many.append(place)
            return
        pair = ready.model.languages[0].lower(), ready.model.languages[1].lower()
        if pair in self.pairs:
            told = self.every[self.pairs[pair]][1].model.name
            raise UserError(f"models {told} and {name} both translate {'-'.join(pair)}")
        self.pairs[pair] = place

    def of(self, kind: type[Ready]) -> dict[int, Ready]:
        """Return the models of a kind by their places."""
        return {p: ready for p, (_, ready) in enumerate(self.every) if isinstance(ready, kind)}

    def languages(self) -> dict[str, list[str]]:
        """Return the source languages, and the target languages of each."""
        found: dict[str, set[str]] = {}
        for source, target in self.pairs:
            found.setdefault(source, set()).add(target)
        for place in self._many:
            ready = self.every[place][1]
            assert isinstance(ready, Translator)
            told = ready.languages
            targets = set(told.targets) | ({told.target} if told.target else set())
            for source in told.sources or filter(None, [told.source]):
                found.setdefault(source, set()).update(targets - {source})
        return {source: sorted(found[source]) for source in sorted(found)}

    def routes(self) -> list[Route]:
        """Return a route for each model that translates."""
        routes = [Route(place) for place in self.pairs.values()]
        for place in self._many:
            ready = self.every[place][1]
            assert isinstance(ready, Translator)
            told = ready.languages
            source = next(iter(told.sources), None)
            target = next((one for one in told.targets if one != source), None)
            routes.append(Route(place, source, target))
        return routes

    def _route(self, source: str, target: str) -> Route:
        """Return the model that translates a pair of languages.  Raises `ServiceError`."""
        place = self.pairs.get((source.lower(), target.lower()))
        if place is not None:
            return Route(place)
        for place in self._many:
            ready = self.every[place][1]
            assert isinstance(ready, Translator)
            chosen = source if ready.languages.sources else None
            try:
                pair = pair_of(ready.model, chosen, target)
            except OptionError:
                continue
            return Route(place, *pair)
        raise ServiceError(400, self._unknown(source, target))

    def _unknown(self, source: str, target: str) -> str:
        known = self.languages()
        if source not in known:
            return f"{source[:40]!r} is not supported as a source: {', '.join(known) or 'none is'}"
        targets = ", ".join(known[source])
        return f"{target[:40]!r} is not supported as a target of {source}: {targets}"

    def named(self, name: str, kind: type[Ready]) -> int:
        """Return the place of a model of a kind.  Raises `ServiceError`."""
        place = self.names.get(name)
        if place is None or not isinstance(self.every[place][1], kind):
            names = [ready.model.name for ready in self.of(kind).values()]
            told = ", ".join(names) or "none"
            raise ServiceError(404, f"there is no such model {name[:80]!r} here: there is {told}")
        return place
