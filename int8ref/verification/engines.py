"""Compares the two engines: every value, and every kind of search, for batches and threads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from int8ref.engines.backends import Backend, load_engine
from int8ref.engines.engine import Engine
from int8ref.files.model_file import Model
from int8ref.search import BeamOptions, Sampling
from int8ref.search.request import Path, Request
from int8ref.verification import walk

SAMPLING = Sampling(temperature=90, top_k=20, top_p=95, seed=7)
BEAM = 4


class Work(msgspec.Struct, frozen=True):
    """A way to compute the sentences: sentences of a batch, and batches at once."""

    batch_size: int
    threads: int

    def __str__(self) -> str:
        return f"batches of {self.batch_size}, {self.threads} at once"


WORKS = (Work(1, 1), Work(3, 2), Work(32, 1), Work(2, 4))
"""The ways in which the compiled engine computes the sentences."""


class Compared:
    """An engine of a model, and sentences.  Digests of all that it computes."""

    def __init__(self, model: Model, requests: Sequence[Request], backend: Backend) -> None:
        self._model, self._requests = model, requests
        known = model.digest if backend == "compiled" else None
        self.engine = load_engine(
            model.program, model.tensors, backend, model.types, known, model.name
        )

    def digests(self, work: Work) -> list[str]:
        """Return the digest of each sentence: of its values, then of its searches."""
        with ThreadPoolExecutor(work.threads) as pool:
            parts = pool.map(self._part, self._batches(work.batch_size))
            return [digest for part in parts for digest in part]

    def locate(self, golden: Compared, work: Work, sentence: int) -> str:
        """Describe the first difference in the batch of a sentence."""
        batches = list(self._batches(work.batch_size))
        batch = batches[sentence // work.batch_size]
        types = self._model.types
        told = walk.first_difference(golden.engine, self.engine, types, batch)
        if told is not None:
            return told
        pairs = zip(searches(self.engine, batch), searches(golden.engine, batch), strict=True)
        for request, (found, wanted) in zip(batch, pairs, strict=True):
            for name in wanted:
                if found[name] != wanted[name]:
                    told = f"{name} of sentence {request.number}"
                    return f"{told}: got {found[name]}, expected {wanted[name]}"
        return "a repetition is equal: the difference occurs only sometimes"

    def _batches(self, size: int) -> Iterator[Sequence[Request]]:
        return (self._requests[at : at + size] for at in range(0, len(self._requests), size))

    def _part(self, batch: Sequence[Request]) -> list[str]:
        values = walk.digests(self.engine, self._model.types, batch)
        found = searches(self.engine, batch)
        return [
            hashlib.sha256(digest.encode() + msgspec.json.encode(results)).hexdigest()
            for digest, results in zip(values, found, strict=True)
        ]


def searches(engine: Engine, batch: Sequence[Request]) -> list[dict[str, object]]:
    """Return the results of every kind of search, for each sentence."""
    if engine.program.encodes:
        outputs = engine.outputs([request.ids for request in batch])
        return [{"output": row.tolist()} for row in outputs]
    greedy = engine.greedy(batch)
    beams = engine.beam(batch, BeamOptions(BEAM, BEAM))
    drawn = engine.sample(batch, SAMPLING)
    start, eos = engine.program.start, engine.program.eos
    paths = [
        Path(request.ids, start, (*ids, eos)[: request.limit], request.prefix)
        for request, ids in zip(batch, greedy, strict=True)
    ]
    scores = engine.log_probabilities(paths)
    return [
        {
            "greedy search": greedy[at],
            "beam search": [[[*h.ids], [*h.tokens], h.score, h.complete] for h in beams[at]],
            "sampling": drawn[at],
            "scores": scores[at],
        }
        for at in range(len(batch))
    ]


def whole(digests: Sequence[str]) -> str:
    """Return the digest over all sentences."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()
