"""The sentences of a report: their tokens, and what both models make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from int8ref.engines.engine import Engine
from int8ref.program.sizes import longest_translation, max_steps
from int8ref.search.request import Request
from weights_import.calibrate import cut, tokenize
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.float_search import greedy
from weights_import.id_batch import Ids
from weights_import.lower import Lowered
from weights_import.progress import Tell, silent


@dataclass(frozen=True)
class Text:
    """The sentences that both models read.

    lines    the texts
    sources  in their frame; empty lists for a decoder alone
    targets  the tokens that a decoder reads, its start first; empty for an encoder alone
    floats   the translations of the float model, without an end mark; else empty
    integers the translations of the integer model
    """

    lines: list[str]
    sources: list[list[int]]
    targets: list[list[int]]
    floats: list[list[int]]
    integers: list[list[int]]


def read(lowered: Lowered, engine: Engine, lines: Sequence[str], tell: Tell = silent) -> Text:
    """The sentences as token ids; both models translate them, if they translate.

    The targets are the translations of the float model, or the text itself for a language model.
    """
    model, program = lowered.model, lowered.program
    framed, generation = tokenize(model, lines), model.generation
    if model.encodes:
        sources = [cut(ids, generation.frame, program.max_source_length) for ids in framed]
        return Text(list(lines), sources, [[] for _ in lines], [], [])
    most = max_steps(program, lowered.tensors)
    if not model.translates:
        targets = [[generation.start, *ids][:most] for ids in framed]
        return Text(list(lines), [[] for _ in lines], targets, [], [])
    way = generation.directions
    if len(way) > 1:
        raise CheckpointError("the model has many target languages: choose one, --target-language")
    longest = program.max_source_length
    sources = [cut(ids, generation.frame, longest, way[0].frame) for ids in framed]
    forced = list(way[0].forced)
    floats = greedy(model, sources, begun=[forced] * len(sources), tell=tell)
    requests = [_request(lowered, ids, forced, most) for ids in sources]
    integers = [[*forced, *ids] for ids in engine.greedy(requests)]
    targets = [[generation.start, *ids][:most] for ids in floats]
    return Text(list(lines), sources, targets, floats, integers)


def _request(lowered: Lowered, ids: Ids, forced: Ids, most: int) -> Request:
    factor = lowered.program.max_length_factor
    limit = longest_translation(len(ids), factor, most)
    return Request(ids=ids, limit=max(1, min(limit, most - len(forced))), prefix=forced)


def next_ids(model: FloatModel, target: Ids, most: int) -> list[int]:
    """The token that each row of a target predicts."""
    return [*target[1:], model.generation.eos][:most]


def first_difference(a: Sequence[object], b: Sequence[object]) -> int | None:
    """The first place where two sequences differ; None for equal ones."""
    for place, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return place
    return None if len(a) == len(b) else min(len(a), len(b))
