"""Checks that the changes of basis of the lowering leave the function of a model alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import every_kind
import numpy as np
import pytest

from weights_import import lower
from weights_import.float_model import FloatModel
from weights_import.forward import forced, step
from weights_import.id_batch import Ids
from weights_import.lowering.emitter import Emitter, Floats
from weights_import.lowering.observed import Observed
from weights_import.lowering.options import LoweringOptions
from weights_import.run import Batch, Memory, Run, Weights
from weights_import.tensors import Float32

Rows = dict[str, Float32]
Texts = Sequence[Ids]


class Remembering(Observed):
    """Rows that are never dropped."""

    def forget(self, name: str) -> None:
        pass


@dataclass(frozen=True)
class Rewritten:
    """A model, and the model that the lowering made of it.

    before, after  the model before and after all changes of basis
    rows           the rows of all values that the lowering has observed, after these changes
    emitter        its emitter
    """

    before: FloatModel
    after: FloatModel
    rows: Rows
    emitter: Emitter


def text(model: FloatModel) -> tuple[Texts, Texts]:
    """Return sources and targets; for a decoder alone, empty sources."""
    batch = every_kind.sentences(model, 40, 0)
    sources = batch if model.translates else [[] for _ in batch]
    return sources, batch[::-1]


def rewritten(model: FloatModel, **options: str) -> Rewritten:
    """Lower a model, and return what the lowering made of its float model."""
    observed = Remembering()
    emitters: list[Emitter] = []

    def keep(floats: Floats, observed: Observed, options: LoweringOptions) -> Emitter:
        emitters.append(Emitter(floats, observed, options))
        return emitters[0]

    chosen = LoweringOptions(positions=16, **options)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lower, "Observed", lambda: observed)
        patch.setattr(lower, "Emitter", keep)
        lower.lower(model, *text(model), chosen)
    (emitter,) = emitters
    after = replace(model, tensors=emitter.model.tensors, grids=emitter.model.grids)
    return Rewritten(model, after, observed.rows, emitter)


def values(model: FloatModel, sources: Texts, targets: Texts) -> Rows:
    """The rows of all values of a model, computed without a lowering."""
    source = Batch.of(sources)
    target = Batch.of([[model.generation.start, *ids] for ids in targets])
    weights, found = Weights(model.tensors), Rows()
    memory = Memory.of(found, source.offsets)
    encoder, decoder = Run(weights, source, values=found), Run(weights, target, memory, None, found)
    for run, operations in ((encoder, model.program.encoder), (decoder, model.program.decoder)):
        for operation in operations:
            step(run, operation)
            found |= run.notes
    return found


def compare(given: Rewritten) -> None:
    """Assert that both models have equal logits, and that the rows belong to the rewritten one."""
    sources, targets = text(given.before)
    for old, new in zip(
        forced(given.before, sources, targets), forced(given.after, sources, targets), strict=True
    ):
        np.testing.assert_allclose(new, old, atol=2e-4 * np.abs(old).max())
    expected = values(given.after, sources, targets)
    for name in every_kind.logits(given.before.program):
        del expected[name]
    assert given.rows.keys() == expected.keys()
    for name, rows in expected.items():
        size = max(float(np.abs(rows).max()), 1.0)
        np.testing.assert_allclose(given.rows[name], rows, atol=2e-3 * size, err_msg=name)


def changed(given: Rewritten) -> set[str]:
    """Return the names of the tensors that the lowering has rewritten, or added."""
    before: Mapping[str, Float32] = given.before.tensors
    after: Mapping[str, Float32] = given.after.tensors
    return {n for n, t in after.items() if n not in before or not np.array_equal(t, before[n])}
