"""Attention of several heads: over the source, or over the target so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weights_import.arithmetic.threads import in_threads
from weights_import.errors import CheckpointError
from weights_import.lowering.emitter import Emitter
from weights_import.operations.attended import Attended
from weights_import.operations.attention_kernel import attend
from weights_import.operations.emit_attention import AttentionEmitter
from weights_import.operations.head_basis import balance
from weights_import.operations.linear import product_of
from weights_import.operations.rotary import turned
from weights_import.run import Run, in_columns
from weights_import.tensors import Float32

CHUNK = 16
"""Sentences that a thread takes at once."""


@dataclass(frozen=True, kw_only=True)
class Attention(Attended):
    """The sum of the values, weighted by `scores` of Q K^T / sqrt(size of a head)."""

    def run(self, run: Run) -> Float32:
        query, key, value = (run.values[name] for name in self.inputs)
        if self.heads.rotary:
            positions = run.batch.positions
            query, key = (self._turned(x, positions) for x in (query, key))
            run.notes |= {self.query: query, self.key: key}
        keys, values, spans = self._keys(run, key, value)
        out = np.empty((len(query), self.heads.width), np.float32)
        shape = self.heads.count, self.heads.group, self.heads.size, self.heads.window
        factor = np.float32(1 / np.sqrt(self.heads.size))
        constants = self.scores.constants(run.tensors, self.heads.count)
        added = self.scores.addends(run.tensors, self.heads.count)
        query = np.ascontiguousarray(query)
        chunks = [spans[i : i + CHUNK] for i in range(0, len(spans), CHUNK)]
        in_threads(
            lambda chunk: attend(query, keys, values, chunk, shape, factor, constants, *added, out),
            chunks,
        )
        return out

    def _turned(self, x: Float32, positions: NDArray[np.int64]) -> Float32:
        return turned(x, positions, self.heads.rotary, self.heads.size)

    def _keys(
        self, run: Run, key: Float32, value: Float32
    ) -> tuple[Float32, Float32, NDArray[np.int64]]:
        """Keys, values and spans as `attend` takes them."""
        batch, width = run.batch, self.heads.key_width
        first, last = batch.offsets[:-1], batch.offsets[1:]
        zeros, ones = np.zeros(batch.sentences, np.int64), np.ones(batch.sentences, np.int64)
        if self.over == "target" and run.state is not None:
            keys, values = self._history(run, key, value)
            capacity = keys.shape[2]
            blocks = np.arange(batch.sentences) * capacity
            length = np.full(batch.sentences, capacity)
            spans = first, last, blocks * width, length, blocks, batch.first + 1, ones
            return keys.ravel(), values.reshape(-1, width), np.stack(spans, 1)
        values = np.ascontiguousarray(value)
        if self.over == "source" and run.memory is not None:
            start, count = run.memory.start, run.memory.count
            spans = first, last, start * width, count, start, count, zeros
            return run.memory.columns(self.key), values, np.stack(spans, 1)
        count = last - first
        seen = (ones, ones) if self.over == "target" else (count, zeros)
        spans = first, last, first * width, count, first, *seen
        return in_columns(key, batch.offsets), values, np.stack(spans, 1)

    def _history(self, run: Run, key: Float32, value: Float32) -> tuple[Float32, Float32]:
        """The keys and values of this token behind those before: one token a sentence."""
        assert run.state is not None
        arrays, at = run.state.arrays, run.state.position
        names = f"{self.out}.keys", f"{self.out}.values"
        if names[0] not in arrays:
            arrays[names[0]] = np.empty((len(key), key.shape[1], 0), np.float32)
            arrays[names[1]] = np.empty((len(key), 0, key.shape[1]), np.float32)
        for name, axis in zip(names, (2, 1), strict=True):
            if arrays[name].shape[axis] <= at:
                arrays[name] = longer(arrays[name], axis, at + at // 4 + 16)
        arrays[names[0]][:, :, at] = key
        arrays[names[1]][:, at] = value
        return arrays[names[0]], arrays[names[1]]

    def prepare(self, emitter: Emitter) -> None:
        """Find a better basis for queries and keys, and move keys to the middle around zero.

        Rotary positions and norms have a basis of their own, which stays.  The basis of keys that
        several heads of queries share stays too.
        """
        if self.heads.rotary or self.heads.norms:
            return
        if self.heads.group == 1:
            balance(emitter, self.query, self.key, self.heads.size)
        if self.scores.ignores_constants:
            emitter.add_bias(product_of(emitter, self.key).name, -emitter.centre(self.key))

    def lower(self, emitter: Emitter) -> None:
        if emitter.can_hand_on(self.out):
            self._centre_values(emitter)
        emitter.scaled[self.out] = AttentionEmitter(emitter, self).emit()

    def _centre_values(self, emitter: Emitter) -> None:
        """Move values, and the context, which is their mean, to the middle around zero."""
        heads = self.heads.key_heads, self.heads.group
        centre = emitter.centre(self.out, heads)
        values = centre.reshape(*heads, -1)[:, 0].ravel()
        emitter.observed.rows[self.value] = emitter.observed.rows[self.value] - values
        emitter.add_bias(product_of(emitter, self.value).name, -values)
        emitter.hand_on(self.out, centre)

    def check(self) -> None:
        """Raises CheckpointError for heads that cannot be."""
        if self.heads.count % self.heads.key_heads:
            raise CheckpointError(
                f"{self.out}: heads={self.heads.count} are no groups of {self.heads.key_heads}"
            )


def longer(array: Float32, axis: int, length: int) -> Float32:
    """A copy of an array, filled up with zeros to a length along an axis."""
    shape = list(array.shape)
    shape[axis] = length
    found = np.zeros(shape, np.float32)
    found[tuple(slice(n) for n in array.shape)] = array
    return found
