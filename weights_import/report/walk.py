"""The walk of a report: sentence by sentence, every unit alone in integers, and all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from int8ref.engines.engine import Engine
from int8ref.program.inputs import Values as IntegerValues
from weights_import.float_program import Operation
from weights_import.id_batch import Ids
from weights_import.lower import Lowered
from weights_import.progress import Tell, silent
from weights_import.report.floats import KeptTensors, Part, Values
from weights_import.report.integers import Integers, reals
from weights_import.report.losses import Embeddings, Loss, NextToken, distance
from weights_import.report.measures import Measures
from weights_import.report.units import Twins, Unit
from weights_import.run import Weights
from weights_import.tensors import Float32, Float64

ROWS = 160
"""Rows of a part; more sentences come in more parts, and do not take more memory."""
TAKEN_APART = 1024
"""About the number of rows on which each unit is measured alone: parts, evenly spread."""

Forms = dict[str, dict[str, Float32]]
"""A float value -> the forms of it that units read: a value of the Program -> its numbers."""


@dataclass
class Sums:
    """The loss of an operation: its sum, and the number of rows that choose otherwise."""

    total: float = 0.0
    changed: int = 0
    rows: int = 0

    def add(self, loss: Loss) -> None:
        self.total += float(loss.of.sum())
        self.changed += int(np.count_nonzero(loss.changed))
        self.rows += len(loss.of)

    @property
    def mean(self) -> float:
        return self.total / self.rows if self.rows else 0.0


@dataclass
class Findings:
    """What a walk found.

    values   measures by the value of the Program
    units    losses by the name of a unit
    whole    the loss of the integer model
    rows     for each sentence, the loss of its rows: tokens, or one row for a text
    places   for each sentence of an encoder alone, 1 - cosine of the row of each token
    outputs  for each sentence of an encoder alone, its output in floats and in integers
    """

    values: dict[str, Measures] = field(default_factory=dict)
    units: dict[str, Sums] = field(default_factory=dict)
    whole: Sums = field(default_factory=Sums)
    rows: dict[int, Loss] = field(default_factory=dict)
    places: dict[int, Float64] = field(default_factory=dict)
    outputs: list[tuple[Float32, Float32]] = field(default_factory=list)


class Walk:
    """Compares a float model with its integer model on given sentences."""

    def __init__(self, lowered: Lowered, engine: Engine) -> None:
        self.model = lowered.model
        self.twins = Twins.of(lowered)
        self.integers = Integers(lowered.program, lowered.tensors, engine, self.twins)
        self._weights = Weights(KeptTensors(lowered.model.tensors))
        program = self.twins.program
        self.result = program.logits or program.output

    def run(self, sources: Sequence[Ids], targets: Sequence[Ids], tell: Tell = silent) -> Findings:
        """Compare on sentences; `targets` are the tokens that a decoder reads."""
        found, done = Findings(), 0
        every = list(parts(sources, targets))
        step = max(1, len(every) * ROWS // TAKEN_APART)
        for place, numbers in enumerate(every):
            part = self.part([sources[i] for i in numbers], [targets[i] for i in numbers])
            floats, integers = self.floats(part), self.integers.accumulated(part)
            self._compare(part, numbers, floats, integers, found)
            if place % step == 0:
                self._take_apart(part, floats, integers, found)
            done += len(numbers)
            tell(done, len(sources))
        return found

    def part(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> Part:
        """Some sentences of this model."""
        return Part(self.model, self._weights, sources, [] if self.model.encodes else targets)

    def floats(self, part: Part) -> Values:
        """All float values of a part."""
        return part.compute(self.twins.program.operations, {})

    def _compare(
        self,
        part: Part,
        numbers: Sequence[int],
        floats: Values,
        integers: IntegerValues,
        found: Findings,
    ) -> None:
        """The loss of the integer model, by sentence."""
        exact, other = floats[self.result], self.whole(part, integers)
        loss = self._compared(exact).loss(other)
        if self.model.encodes:
            found.outputs += zip(exact, other, strict=True)
        found.whole.add(loss)
        self._by_sentence(part, numbers, loss, found)
        if self.model.encodes:
            self._by_place(part, numbers, floats, integers, found)

    def _take_apart(
        self, part: Part, floats: Values, integers: IntegerValues, found: Findings
    ) -> None:
        """The loss of each unit alone, and the measures of its values."""
        exact = self._compared(floats[self.result])
        for unit in self.twins.units:
            if not unit.instructions:
                continue
            errors = self.errors(unit, part, floats)
            for name in unit.makes:
                self._measure(found, name, floats, integers, errors[name])
            changed = self._changed(unit, part, floats, errors)
            sums = found.units.setdefault(unit.name, Sums())
            sums.add(exact.loss(exact.result if changed is None else changed))

    def _compared(self, result: Float32) -> NextToken | Embeddings:
        return NextToken.of(result) if self.twins.program.logits else Embeddings(result)

    def errors(self, unit: Unit, part: Part, floats: Values) -> Values:
        """The error that a unit adds by itself to each value that it makes.

        The unit reads float values rounded to integers.  Its float twin reads the same rounded
        numbers, because their rounding is the error of the units that make them.
        """
        inputs, read = self.integers.inputs(unit, floats)
        made = self.integers.alone(unit, part, inputs)
        forms: Forms = {}
        for name, numbers in read.items():
            self._split(name, numbers, forms, floats)
        exact = self._computed(unit, part, forms, floats)
        found: Values = {}
        for name in unit.makes:
            meaning = self.twins.meanings[name]
            twin = meaning.columns(exact)
            found[name] = reals(inputs | made, name, meaning) - twin
        return found

    def _split(self, name: str, numbers: Float32, forms: Forms, floats: Values) -> None:
        """Add the columns of a value to the forms of its float values."""
        names = self.twins.meanings[name].floats
        ends = np.cumsum([floats[one].shape[1] for one in names])[:-1]
        for one, columns in zip(names, np.split(numbers, ends, axis=1), strict=True):
            forms.setdefault(one, {})[name] = columns

    def _computed(self, unit: Unit, part: Part, forms: Forms, floats: Values) -> Values:
        """The float values of a unit, some of whose inputs have changed."""
        made: Values = {}
        for operation in unit.operations:
            inputs = {
                name: made[name] if name in made else self._read(operation, name, forms, floats)
                for name in operation.inputs
            }
            made[operation.out] = part.run(operation, inputs)
        return made

    def _read(self, operation: Operation, name: str, forms: Forms, floats: Values) -> Float32:
        """A float value as an operation reads it: the changed form, or the value itself."""
        if name not in forms:
            return floats[name]
        found = forms[name]
        return (
            found[self.twins.form(operation, found)]
            if len(found) > 1
            else next(iter(found.values()))
        )

    def _changed(self, unit: Unit, part: Part, floats: Values, errors: Values) -> Float32 | None:
        """The result of the float model with the errors of one unit; None for an equal result."""
        forms: Forms = {}
        for name in unit.outputs:
            x = self.twins.meanings[name].columns(floats)
            self._split(name, x + errors[name], forms, floats)
        units = self.twins.units
        for later in units[units.index(unit) + 1 :]:
            if forms.keys() & set(later.read):
                made = self._computed(later, part, forms, floats)
                forms |= {name: {"": x} for name, x in made.items()}
        found = forms.get(self.result)
        return None if found is None else next(iter(found.values()))

    def whole(self, part: Part, integers: IntegerValues) -> Float32:
        """The result of the integer model in floats, behind a soft cap."""
        program = self.twins.program
        name = next(
            one for one in (self.integers.program.logits, self.integers.program.output) if one
        )
        made = {
            self.twins.meanings[name].floats[0]: reals(integers, name, self.twins.meanings[name])
        }
        last = program.producers()[self.result]
        return made[self.result] if self.result in made else part.run(last, made)

    def _measure(
        self, found: Findings, name: str, floats: Values, integers: IntegerValues, error: Float32
    ) -> None:
        meaning = self.twins.meanings[name]
        x = meaning.columns(floats)
        if name not in found.values:
            found.values[name] = Measures(meaning, integers[name].dtype, x.shape[1])
        found.values[name].add(x, reals(integers, name, meaning), integers[name], error)

    def _by_sentence(self, part: Part, numbers: Sequence[int], loss: Loss, found: Findings) -> None:
        """The losses of the rows of each sentence."""
        count = len(numbers)
        ends = np.arange(1, count) if self.model.encodes else part.target.offsets[1:-1]
        found.rows |= dict(zip(numbers, loss.split(ends), strict=True))

    def _by_place(
        self,
        part: Part,
        numbers: Sequence[int],
        floats: Values,
        integers: IntegerValues,
        found: Findings,
    ) -> None:
        """The losses of the rows of tokens, of the last value that has such rows."""
        rows = len(part.source.ids)
        names = [name for name in self.twins.meanings if len(integers.get(name, ())) == rows]
        last = self.twins.meanings[names[-1]]
        x = last.columns(floats)
        losses = distance(x, reals(integers, names[-1], last)).of
        pieces = np.split(losses, part.source.offsets[1:-1])
        found.places |= dict(zip(numbers, pieces, strict=True))


def parts(sources: Sequence[Ids], targets: Sequence[Ids]) -> Iterator[list[int]]:
    """The numbers of the sentences of each part, at most ROWS rows of source or target together."""
    part: list[int] = []
    rows = 0
    for i, (source, target) in enumerate(zip(sources, targets, strict=True)):
        more = max(len(source), len(target))
        if part and rows + more > ROWS:
            yield part
            part, rows = [], 0
        part.append(i)
        rows += more
    if part:
        yield part
