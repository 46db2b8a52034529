"""Continues the prompts of one request, as the text of each choice grows.

Choice i of a request has the text number i, so that it is the text that `int8ref.generate` writes
for line i of a file with the same prompts, each repeated for its choices.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from int8ref.language_model import LanguageModel
from int8ref.options import Options
from int8ref.results import LikelyToken
from int8ref.search.request import Request
from int8ref.serving.continuing import Continuing, Kind
from int8ref.translation.prompts import Prompt

Reason = Literal["stop", "length"]


class Wanted(msgspec.Struct, frozen=True):
    """What a request asks of each choice.

    options   the options of the language model
    logprobs  also the log-probability of each token
    """

    options: Options
    logprobs: bool = False


class Step(msgspec.Struct, frozen=True):
    """A token of a choice: its log-probability, and the most likely tokens in its place."""

    token: str
    log_probability: Decimal
    likeliest: Sequence[LikelyToken] = ()


class Grown(msgspec.Struct, frozen=True):
    """A choice that has grown.

    index   number of the choice
    text    its text so far, without the prompt
    reason  why it ended; None: it has not ended
    tokens  number of its tokens, when it has ended
    steps   its tokens, when it has ended; None if nobody wants them
    """

    index: int
    text: str
    reason: Reason | None = None
    tokens: int = 0
    steps: Sequence[Step] | None = None


class Choices:
    """The choices of a request.

    place    place of the model
    prompts  a prompt for each choice, numbered from 0
    """

    def __init__(
        self,
        continuing: Continuing,
        place: int,
        model: LanguageModel,
        prompts: Sequence[Prompt],
        wanted: Wanted,
    ) -> None:
        self._continuing, self._model, self._wanted = continuing, model, wanted
        self._kind = Kind(place, shared(wanted.options), wanted.options.adjusts)
        self.prompts = prompts
        self._requests = [model.request(prompt, wanted.options) for prompt in prompts]
        continuing.check_room(len(prompts))

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
            asyncio.create_task(self._follow(index, told)) for index in range(len(self.prompts))
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

    async def _follow(self, index: int, told: asyncio.Queue[Grown | Exception]) -> None:
        try:
            async for grown in self._choice(index):
                told.put_nowait(grown)
        except Exception as error:
            told.put_nowait(error)

    async def _choice(self, index: int) -> AsyncIterator[Grown]:
        """Yield one choice as it grows."""
        options, prompt = self._wanted.options, self.prompts[index]
        following = self._continuing.follow(self._kind, self._requests[index], options.seed)
        ended = False
        try:
            async for seen in following:
                text, stopped = self._model.settled(prompt, seen.ids, seen.ended, options.stop)
                ended = stopped or seen.ended
                if ended:
                    break
                yield Grown(index, text)
        finally:
            await following.aclose()
        if ended:
            yield await self._end(index, prompt, self._requests[index], seen.ids)

    async def _end(self, index: int, prompt: Prompt, request: Request, ids: Sequence[int]) -> Grown:
        """Return a choice at its end."""

        def end() -> Grown:
            found = self._model.finished(prompt, request, ids, self._wanted.options)
            reason: Reason = "stop" if found.complete else "length"
            steps = None
            if self._wanted.logprobs:
                logs = self._model.log_probabilities(prompt, found.ids) if found.ids else []
                likeliest = (found.likeliest or [()] * len(logs))[: len(logs)]
                steps = [*map(Step, found.tokens, logs, likeliest)]
            return Grown(index, found.added, reason, len(found.ids), steps)

        return await asyncio.to_thread(end) if self._wanted.logprobs else end()


def shared(options: Options) -> Options:
    """Return the options that the texts of a batch share.

    Each text has its own seed, its own largest length, and its own adjustments of logits.
    """
    names = ("temperature", "top_k", "top_p", "min_p")
    return Options(**{name: getattr(options, name) for name in names})
