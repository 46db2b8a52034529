"""What the interfaces of a service share: its models, its limits, and its batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

from int8ref.encoder import Encoder
from int8ref.language_model import LanguageModel
from int8ref.options import Options
from int8ref.results import Result
from int8ref.serving.batcher import Batcher
from int8ref.serving.continuing import Continuing
from int8ref.serving.detection import Detector
from int8ref.serving.limits import Limits, Policy
from int8ref.serving.metrics import Metrics
from int8ref.serving.models import Models, Route
from int8ref.serving.service_errors import ServiceError
from int8ref.translator import Translator

Answer = TypeVar("Answer")
Kind = tuple[int, Options | None]
"""What the texts of a batch share: the place of the model, and the options of a translation."""


class Service:
    """The models, the limits and the batches of a service."""

    def __init__(self, models: Models, limits: Limits, policy: Policy) -> None:
        self.models, self.limits, self.policy = models, limits, policy
        self.metrics = Metrics()
        self.detector = Detector(models.languages())
        size, threads = limits.batch_size, limits.threads
        self._batcher: Batcher[Kind] = Batcher(
            self._work, size, threads, limits.queue, self.metrics.batch
        )
        language_models: dict[int, Any] = {**models.of(LanguageModel)}
        self.continuing = Continuing(language_models, size, threads, limits.queue)
        self._pool = ThreadPoolExecutor(threads)
        self.options = lru_cache(1024)(self._options)

    def _options(self, route: Route, alternatives: int, detailed: bool = False) -> Options:
        """Return the options of translations.

        `detailed`: with scores, alignment and digests of the logits.
        """
        if not 0 <= alternatives <= self.limits.alternatives:
            most = self.limits.alternatives
            raise ServiceError(400, f"alternatives is {alternatives}, not from 0 to {most}")
        n_best = alternatives + 1
        return Options(
            beam_size=max(self.policy.beam_size, n_best),
            n_best=n_best,
            distinct=n_best > 1,
            shortlist=self.policy.shortlist,
            source_language=route.source,
            target_language=route.target,
            scores=detailed,
            alignment="hard" if detailed else None,
            copy_unknown=True,
        )

    def check_texts(self, count: int) -> None:
        """Raise `ServiceError` for too many texts in one request."""
        if count > self.limits.texts:
            raise ServiceError(
                413, f"{count} texts in one request: the most are {self.limits.texts}"
            )

    async def translate(self, place: int, texts: Sequence[str], options: Options) -> list[Result]:
        """Translate texts.  Raises `ServiceError`, and the errors of `Translator.translate`."""
        return await self._batcher.results((place, options), texts)

    async def translate_all(
        self, place: int, texts: Sequence[str], options: Options
    ) -> list[Result]:
        """Translate any number of texts: no more of them wait at once than one request may have."""
        found: list[Result] = []
        most = self.limits.texts
        for begin in range(0, len(texts), most):
            found += await self.translate(place, texts[begin : begin + most], options)
        return found

    async def aside(self, call: Callable[..., Answer], *arguments: Any) -> Answer:
        """Call a function in a thread, because it takes a while."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)

    async def embed(self, place: int, texts: Sequence[str]) -> list[Any]:
        """Return the `Embedding` of each text.  Raises the errors of `translate`."""
        return await self._batcher.results((place, None), texts)

    def _work(self, kind: Kind, texts: list[str]) -> Sequence[Any]:
        """Compute a batch, in a thread."""
        place, options = kind
        ready = self.models.every[place][1]
        if isinstance(ready, Translator):
            assert options is not None
            return ready.together(texts, options)
        assert isinstance(ready, Encoder)
        return ready.together(texts)

    def gauges(self) -> dict[str, tuple[str, int]]:
        """Return the present numbers for the metrics."""
        return {
            "texts_waiting": (
                "Texts that wait for their computation.",
                self._batcher.waiting + self.continuing.waiting,
            ),
            "texts_continuing": ("Texts that language models continue.", self.continuing.running),
        }

    def close(self) -> None:
        """End all threads."""
        self._batcher.close()
        self.continuing.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
