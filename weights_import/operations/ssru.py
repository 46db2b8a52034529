"""The simpler simple recurrent unit (Kim et al., WNGT 2019, section 3.1.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from int8ref.program.program import State
from int8ref.reference.lookup import Lookup
from int8ref.reference.ssru import GATE_BITS
from int8ref.reference.ssru import Ssru as Instruction
from weights_import.arithmetic.functions import sigmoid
from weights_import.arithmetic.kernel import kernel
from weights_import.float_program import Operation
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.products import linear, rows_of, wide
from weights_import.lowering.scale_propagation import WIDE_MAX
from weights_import.lowering.scaled import Scaled
from weights_import.operations.linear import Linear, product_of
from weights_import.run import Run
from weights_import.tensors import Float32


@dataclass(frozen=True, kw_only=True)
class Ssru(Operation):
    """c_t = f * c_{t-1} + (1 - f) * x_t, f = sigmoid(gate_t); y_t = ReLU(c_t).

    `x` and `gate` are products.  Before the first token of a sentence, c is 0.
    """

    x: str
    gate: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.x, self.gate

    @property
    def state(self) -> str:
        return f"{self.out}.state"

    def run(self, run: Run) -> Float32:
        x, gate = run.values[self.x], sigmoid(run.values[self.gate].astype(np.float64))
        last = np.zeros((run.batch.sentences, x.shape[1]), np.float32)
        if run.state is not None:
            last = run.state.arrays.setdefault(self.state, last)
        states = np.empty_like(x)
        _recur(x, gate.astype(np.float32), run.batch.offsets, last, states)
        run.notes[self.state] = states
        return np.maximum(states, 0)

    def lower(self, emitter: Emitter) -> None:
        """The gate by a table, and the state in 16 bits."""
        cell, gate = product_of(emitter, self.x), product_of(emitter, self.gate)
        opened = self._opened(emitter, gate)
        x = emitter.scaled[cell.x]
        scale = emitter.wide_scale(self.x, self.state)
        rows = rows_of(emitter, [cell.name], x)
        entered = wide(emitter, f"{self.out}.input", cell.name, rows, x, scale)
        emitter.means(entered, self.x)
        width = emitter.observed.rows[self.x].shape[1]
        state = State(self.state, f"{self.out}.next_state", "int16", width)
        emitter.states.append(state)
        emitter.add(Instruction(
            x=entered.name,
            gate=opened,
            state=state.value,
            next_state=state.next_value,
            out=self.out,
        ))  # fmt: skip
        emitter.scaled[self.out] = Scaled(self.out, entered.scale)

    def _opened(self, emitter: Emitter, gate: Linear) -> str:
        scale = emitter.data_scale(self.gate)
        x = linear(emitter, self.gate, [gate.name], emitter.scaled[gate.x], scale)
        emitter.means(x, self.gate)
        codes = np.arange(-128, 128) * x.scale[0]
        table = np.minimum(np.rint(2**GATE_BITS * sigmoid(codes)), WIDE_MAX).astype(np.int16)
        name = f"{self.gate}.opened"
        kept = emitter.tensor(f"{self.gate}.sigmoid", table)
        emitter.add(Lookup(x=x.name, table=kept, out=name))
        return name


@kernel
def _recur(x, gate, offsets, last, out):
    """The states of every row.  `last` [sentences, features] changes in place."""
    one = np.float32(1)
    for sentence in range(len(offsets) - 1):
        for i in range(offsets[sentence], offsets[sentence + 1]):
            for c in range(x.shape[1]):
                f = gate[i, c]
                last[sentence, c] = f * last[sentence, c] + (one - f) * x[i, c]
                out[i, c] = last[sentence, c]
