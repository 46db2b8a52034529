"""Float values of a batch: each operation of a float model on given inputs.

Products are products of BLAS, because a report runs hundreds of them and decides no model file.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np

from weights_import.float_model import FloatModel
from weights_import.float_program import Operation
from weights_import.id_batch import Ids
from weights_import.run import Batch, Memory, Run, Weights
from weights_import.tensors import Float32, Tensors

KEPT_BYTES = 1 << 27
"""The most bytes of weights that stay in memory."""

Values = dict[str, Float32]


class KeptTensors(Tensors):
    """Tensors whose latest readings stay in memory, up to KEPT_BYTES."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__({name: tensors.stored(name) for name in tensors})
        self._read: OrderedDict[str, Float32] = OrderedDict()

    def __getitem__(self, name: str) -> Float32:
        found = self._read.pop(name, None)
        if found is None:
            found = np.ascontiguousarray(super().__getitem__(name))
        self._read[name] = found
        while len(self._read) > 1 and sum(x.nbytes for x in self._read.values()) > KEPT_BYTES:
            self._read.popitem(last=False)
        return found


class QuickRun(Run):
    """A run whose products BLAS computes."""

    def product(self, name: str, x: Float32) -> Float32:
        found: Float32 = x @ self.tensors[f"{name}.weight"].T
        bias = f"{name}.bias"
        return found + self.tensors[bias] if bias in self.tensors else found


class Part:
    """Some sentences, and the float operations on their rows.

    sources  in their frame; empty lists for a decoder alone
    targets  the tokens that the decoder reads, its start included; empty for an encoder alone
    """

    def __init__(
        self, model: FloatModel, weights: Weights, sources: Sequence[Ids], targets: Sequence[Ids]
    ) -> None:
        self.sources, self.targets = sources, targets
        self.source, self.target = Batch.of(sources), Batch.of(targets)
        self._weights = weights
        self._encoder = {operation.out for operation in model.program.encoder}

    def compute(self, operations: Sequence[Operation], inputs: Mapping[str, Float32]) -> Values:
        """The values that operations make of inputs, without the inputs."""
        values: Values = dict(inputs)
        for operation in operations:
            values[operation.out] = self.run(operation, values)
        return {operation.out: values[operation.out] for operation in operations}

    def run(self, operation: Operation, values: Values) -> Float32:
        """The result of one operation."""
        with np.errstate(all="ignore"):
            if operation.out in self._encoder:
                return operation.run(QuickRun(self._weights, self.source, values=values))
            memory = Memory.of(values, self.source.offsets)
            return operation.run(QuickRun(self._weights, self.target, memory, values=values))
