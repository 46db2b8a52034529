"""The state of a run of a float program: tokens, values, weights, and the history of a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weights_import.arithmetic.product import packed, packed_halves, product
from weights_import.arithmetic.tile import STRIP
from weights_import.tensors import Float32, Tensors, from_bfloat16

Int64 = NDArray[np.int64]
Strips = NDArray[np.float32] | NDArray[np.uint16]

ZERO_VECTOR = -1


@dataclass(frozen=True)
class Batch:
    """Tokens of some sentences.

    ids      [rows], one sentence after another
    offsets  [sentences + 1], where the rows of each sentence begin
    first    [sentences], the position of the first row of each sentence
    """

    ids: Int64
    offsets: Int64
    first: Int64

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> Batch:
        """Whole sentences, from their first position on."""
        lengths = np.array([len(ids) for ids in sequences], np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        ids = [np.asarray(ids, np.int64) for ids in sequences]
        joined = np.concatenate(ids) if ids else np.zeros(0, np.int64)
        return cls(joined, offsets, np.zeros(len(ids), np.int64))

    @classmethod
    def step(cls, previous: Int64, position: int) -> Batch:
        """One token of each sentence, all at one position."""
        count = len(previous)
        return cls(previous, np.arange(count + 1), np.full(count, position, np.int64))

    @property
    def sentences(self) -> int:
        return len(self.first)

    @property
    def positions(self) -> Int64:
        """The position of each row: [rows]."""
        lengths = np.diff(self.offsets)
        return np.arange(len(self.ids)) + np.repeat(self.first - self.offsets[:-1], lengths)


def in_columns(x: Float32, offsets: Int64) -> Float32:
    """The rows of each sentence, transposed: numbers in one row, a block [features, rows] each.

    The block of the sentence whose first row is r begins at r * features.
    """
    found, width = np.empty(x.size, np.float32), x.shape[1]
    for first, last in pairwise(offsets.tolist()):
        block = found[first * width : last * width].reshape(width, last - first)
        block[:] = x[first:last].T
    return found


@dataclass(frozen=True)
class Memory:
    """The values of the encoder that the decoder reads.

    values      their rows, one sentence after another
    offsets     [sentences of the encoder + 1], where the rows of each sentence begin
    sentences   the sentence of the encoder for each sentence of the decoder
    transposed  values `in_columns`, by name
    """

    values: dict[str, Float32]
    offsets: Int64
    sentences: NDArray[np.intp]
    transposed: dict[str, Float32] = field(default_factory=dict)

    @classmethod
    def of(cls, values: dict[str, Float32], offsets: Int64) -> Memory:
        """The memory of all sentences."""
        return cls(values, offsets, np.arange(len(offsets) - 1))

    @property
    def start(self) -> Int64:
        """The first row of each sentence."""
        return self.offsets[self.sentences]

    @property
    def count(self) -> Int64:
        """The number of rows of each sentence."""
        return self.offsets[self.sentences + 1] - self.start

    def columns(self, name: str) -> Float32:
        """A value `in_columns`, which is kept, because each step of a search reads it."""
        if name not in self.transposed:
            self.transposed[name] = in_columns(self.values[name], self.offsets)
        return self.transposed[name]

    def select(self, sentences: NDArray[np.intp]) -> Memory:
        """The memory of these sentences, which may repeat; no row is copied."""
        return Memory(self.values, self.offsets, self.sentences[sentences], self.transposed)


class State:
    """The memory of the operations of the decoder: arrays [sentences, ...] by name.

    A state is changed in place.  `select` makes another one.
    """

    def __init__(self) -> None:
        self.position = 0
        self.arrays: dict[str, Float32] = {}

    def select(self, rows: NDArray[np.intp]) -> State:
        found = State()
        found.position = self.position
        found.arrays = {name: array[rows] for name, array in self.arrays.items()}
        return found


class Weights:
    """The weights of a model in the form in which products read them.

    With `keep`, each weight is packed once, because a search reads it at every step.
    """

    def __init__(self, tensors: Tensors, keep: bool = False) -> None:
        self.tensors = tensors
        self._keep = keep
        self._kept: dict[object, Strips] = {}

    def gather(self, name: str, ids: Int64) -> Float32:
        """Rows of a table."""
        if not self._keep:
            return self.tensors[name][ids]
        rows: NDArray[Any] = self.strips(name)[ids // STRIP, :, ids % STRIP]
        return from_bfloat16(rows) if rows.dtype == np.uint16 else rows

    def strips(self, name: str) -> Strips:
        """A weight, packed."""
        stored = self.tensors.stored(name)
        if id(stored) in self._kept:
            return self._kept[id(stored)]
        pack = packed_halves if self._keep and stored.bfloat16 else packed
        found = pack(self.tensors[name])
        if self._keep:
            self._kept[id(stored)] = found
        return found


@dataclass
class Run:
    """A batch on its way through the encoder or the decoder.

    The decoder has a `memory`, and a `state` if it decodes token by token.  `notes` are rows that
    an operation computes on the way to its result.
    """

    weights: Weights
    batch: Batch
    memory: Memory | None = None
    state: State | None = None
    values: dict[str, Float32] = field(default_factory=dict)
    notes: dict[str, Float32] = field(default_factory=dict)

    @property
    def tensors(self) -> Tensors:
        """The tensors of the model."""
        return self.weights.tensors

    def product(self, name: str, x: Float32) -> Float32:
        """x W^T + b for the weight and the bias of a name; the bias may be absent."""
        weight, bias = f"{name}.weight", f"{name}.bias"
        found = product(x, self.weights.strips(weight), self.tensors.shape(weight)[0])
        if bias in self.tensors:
            found += self.tensors[bias]
        return found
