"""The forward pass of a float program: encoder, decoder, one token or a whole text at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weights_import.finite import require_finite
from weights_import.float_model import FloatModel
from weights_import.float_program import Operation, Operations
from weights_import.id_batch import Ids, check_ids, check_sources
from weights_import.run import Batch, Int64, Memory, Run, State, Weights
from weights_import.tensors import Float32, Tensors


def walk(run: Run, operations: Operations, keep: frozenset[str] = frozenset()) -> None:
    """Run operations, and keep only the last value and the values of `keep`."""
    last: dict[str, int] = {}
    for i, operation in enumerate(operations):
        last |= dict.fromkeys((operation.out, *operation.inputs), i)
    for i, operation in enumerate(operations):
        step(run, operation)
        run.notes.clear()
        for name in (operation.out, *operation.inputs):
            if last[name] == i and name not in keep and i + 1 < len(operations):
                run.values.pop(name, None)


def step(run: Run, operation: Operation, blamed: Tensors | None = None) -> tuple[Float32, Float32]:
    """Run one operation, whose result must be finite; the extremes of each feature.

    If it is not, an error names weights of `blamed`, or else of the run.
    """
    result = operation.run(run)
    found = require_finite(run.tensors if blamed is None else blamed, operation.out, result)
    run.values[operation.out] = result
    return found


def encode(model: FloatModel, sources: Sequence[Ids], weights: Weights | None = None) -> Memory:
    """Encode sources, each in its frame (else ValueError).

    A decoder alone has empty sources, and remembers nothing of them.
    """
    check_sources(model, sources)
    batch = Batch.of(sources)
    run = Run(weights or Weights(model.tensors), batch)
    with np.errstate(all="ignore"):
        walk(run, model.program.encoder, keep=model.memory_values)
    values = {name: run.values[name] for name in model.memory_values}
    return Memory.of(values, batch.offsets)


def outputs(model: FloatModel, sources: Sequence[Ids]) -> Float32:
    """The output of an encoder alone, [sentences, features], for sources in their frame."""
    check_sources(model, sources)
    run = Run(Weights(model.tensors), Batch.of(sources))
    with np.errstate(all="ignore"):
        walk(run, model.program.encoder)
    return run.values[model.program.output]


def decode(
    model: FloatModel, memory: Memory, state: State, previous: Int64, weights: Weights
) -> Float32:
    """Logits [sentences, vocabulary] after one more token of each sentence.

    `state` takes up the token.
    """
    batch = Batch.step(previous, state.position)
    run = Run(weights, batch, memory, state, dict(memory.values))
    with np.errstate(all="ignore"):
        walk(run, model.program.decoder)
    state.position += 1
    return run.values[model.program.logits]


def forced(model: FloatModel, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[Float32]:
    """Logits [len(target) + 1, vocabulary] of each given target, all positions at once.

    Targets are without `eos`; the last row predicts it.
    """
    if len(sources) != len(targets):
        raise ValueError(f"{len(sources)} sources, but {len(targets)} targets")
    check_ids("target", targets, model.generation.target_vocabulary)
    memory = encode(model, sources)
    batch = Batch.of([[model.generation.start, *target] for target in targets])
    run = Run(Weights(model.tensors), batch, memory, values=dict(memory.values))
    with np.errstate(all="ignore"):
        walk(run, model.program.decoder)
    return np.split(run.values[model.program.logits], batch.offsets[1:-1])
