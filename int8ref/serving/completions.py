"""Continues the prompts of one request, as the text of each choice grows.

Choice i of a request has the text number i, so that it is the text that `int8ref.generate` writes
for line i of a file with the same prompts, each repeated for its choices.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Literal

import msgspec

from int8ref.language_model import LanguageModel
from int8ref.options import Options
from int8ref.serving.continuing import Continuing, Kind
from int8ref.serving.service_errors import ServiceError
from int8ref.translation.prompts import Prompt

HALF_CHARACTER = "\ufffd"
"""What a decoded text ends with if its last tokens are the first bytes of a character."""

Reason = Literal["stop", "length"]


class Wanted(msgspec.Struct, frozen=True):
    """What a request asks of each choice.

    options  how tokens are drawn, with the seed and the largest number of tokens
    stops    texts that end a choice; they are no part of it
    """

    options: Options
    stops: Sequence[str] = ()

    @property
    def held(self) -> int:
        """The number of last characters that may be the beginning of a stop."""
        return max((len(stop) - 1 for stop in self.stops), default=0)


class Grown(msgspec.Struct, frozen=True):
    """A choice that has grown.

    index   number of the choice
    text    its text so far, without the prompt
    tokens  number of its tokens so far
    reason  why it ended; None: it has not ended
    """

    index: int
    text: str
    tokens: int
    reason: Reason | None


class Choices:
    """The choices of a request.

    place    place of the model
    prompts  a prompt for each choice
    """

    def __init__(
        self,
        continuing: Continuing,
        place: int,
        model: LanguageModel,
        texts: Sequence[str],
        wanted: Wanted,
    ) -> None:
        self._continuing, self._model, self._wanted = continuing, model, wanted
        self._kind = Kind(place, shared(wanted.options))
        self.prompts = [model.prompt(text, number) for number, text in enumerate(texts)]
        continuing.check_room(len(self.prompts))

    @property
    def prompt_tokens(self) -> int:
        """The number of tokens of all prompts."""
        return sum(len(prompt.ids) for prompt in self.prompts)

    async def finished(self) -> list[Grown]:
        """Return all choices at their ends."""
        last: dict[int, Grown] = {}
        async for grown in self.grow():
            last[grown.index] = grown
        return [last[index] for index in range(len(self.prompts))]

    async def grow(self) -> AsyncIterator[Grown]:
        """Yield each choice as it grows, and last with the reason of its end."""
        told: asyncio.Queue[Grown | Exception] = asyncio.Queue()
        tasks = [
            asyncio.create_task(self._follow(index, prompt, told))
            for index, prompt in enumerate(self.prompts)
        ]
        left = len(tasks)
        try:
            while left:
                grown = await told.get()
                if isinstance(grown, Exception):
                    raise grown
                left -= grown.reason is not None
                yield grown
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(
        self, index: int, prompt: Prompt, told: asyncio.Queue[Grown | Exception]
    ) -> None:
        try:
            async for grown in self._choice(index, prompt):
                told.put_nowait(grown)
        except Exception as error:
            told.put_nowait(error)

    async def _choice(self, index: int, prompt: Prompt) -> AsyncIterator[Grown]:
        """Yield one choice as it grows."""
        options = self._wanted.options
        request = self._model.request(prompt, options)
        base = self._model.continuation(prompt, (), complete=False).text
        following = self._continuing.follow(self._kind, request, options.seed)
        try:
            async for seen in following:
                whole = self._model.continuation(prompt, seen.ids, complete=False).text
                text = whole.removeprefix(base)
                end = min((at for at in map(text.find, self._wanted.stops) if at >= 0), default=-1)
                if end >= 0:
                    yield Grown(index, text[:end], len(seen.ids), "stop")
                    return
                if seen.ended:
                    reason: Reason = "stop" if len(seen.ids) < request.limit else "length"
                    yield Grown(index, text, len(seen.ids), reason)
                    return
                stable = text.rstrip(HALF_CHARACTER)
                yield Grown(
                    index, stable[: max(0, len(stable) - self._wanted.held)], len(seen.ids), None
                )
        finally:
            await following.aclose()


def shared(options: Options) -> Options:
    """Return the options that the texts of a batch share: without seed and largest length."""
    return Options(temperature=options.temperature, top_k=options.top_k, top_p=options.top_p)


def check_stops(stops: Sequence[str]) -> None:
    """Raise `ServiceError` for a stop without characters, which would end every text."""
    if not all(stops):
        raise ServiceError(400, "a stop is empty")
