"""Batches of token ids.  They depend only on the seed and the epoch, so a run can resume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.prepare import BOS, PAD

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """int64 ids, padded on the right: source [B, S] or None, inputs and labels [B, T].

    inputs are bos and the labels without their last column.
    """

    source: Tensor | None
    inputs: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> Batch:
        source = None if self.source is None else self.source.to(device)
        return Batch(source, self.inputs.to(device), self.labels.to(device))


class Lines:
    """The lines of one side of the prepared text."""

    def __init__(self, folder: Path, name: str) -> None:
        self.ids = np.load(folder / f"{name}.ids.npy", mmap_mode="r")
        self.offsets: Ints = np.load(folder / f"{name}.offsets.npy")
        self.lengths: Ints = np.diff(self.offsets)

    def padded(self, rows: Ints) -> Ints:
        """Return the ids of the rows, [len(rows), longest], padded with pad."""
        lengths = self.lengths[rows]
        columns = np.arange(lengths.max())
        inside = columns < lengths[:, None]
        places = np.where(inside, self.offsets[rows][:, None] + columns, 0)
        return np.where(inside, self.ids[places], PAD).astype(np.int64)


def shift_right(labels: Ints) -> Ints:
    """Return the decoder inputs: bos, then all labels except the last."""
    inputs = np.full_like(labels, BOS)
    inputs[:, 1:] = labels[:, :-1]
    return inputs


class ParallelBatches:
    """Batches of sentence pairs of similar length, at most `tokens` ids a side with padding."""

    def __init__(self, folder: Path, split: str, tokens: int, max_length: int, seed: int) -> None:
        self.source = Lines(folder, f"{split}.source")
        self.target = Lines(folder, f"{split}.target")
        self.tokens, self.seed = tokens, seed
        longest = np.maximum(self.source.lengths, self.target.lengths)
        # A line of only eos teaches nothing.  An overlong line would fill a batch alone.
        shortest = np.minimum(self.source.lengths, self.target.lengths)
        self.usable = np.flatnonzero((longest <= min(max_length, tokens)) & (shortest > 1))

    def plan(self, epoch: int) -> list[Ints]:
        """Return the rows of every batch of an epoch, in the order of training."""
        rng = np.random.default_rng([self.seed, epoch])
        rows = rng.permutation(self.usable)
        order = np.lexsort((self.source.lengths[rows], self.target.lengths[rows]))
        rows = rows[order]
        widths = np.maximum(self.source.lengths[rows], self.target.lengths[rows])
        starts, width = [0], 0
        for place, length in enumerate(widths):
            width = max(width, int(length))
            if (place + 1 - starts[-1]) * width > self.tokens:
                starts.append(place)
                width = int(length)
        parts = np.split(rows, starts[1:])
        return [parts[i] for i in rng.permutation(len(parts))]

    def count(self, rows: Ints) -> int:
        """Return the number of labels of a batch."""
        return int(self.target.lengths[rows].sum())

    def batch(self, rows: Ints) -> Batch:
        labels = self.target.padded(rows)
        return Batch(
            torch.from_numpy(self.source.padded(rows)),
            torch.from_numpy(shift_right(labels)),
            torch.from_numpy(labels),
        )


class StreamBatches:
    """Windows of one long text for a language model. eos separates the lines.

    Window w of an epoch holds the ids [shift + w L, shift + (w + 1) L].  Each epoch draws its
    shift, so that a token is not always at the beginning of a window.
    """

    def __init__(self, folder: Path, split: str, tokens: int, length: int, seed: int) -> None:
        self.ids = np.load(folder / f"{split}.target.ids.npy", mmap_mode="r")
        self.length, self.seed = length, seed
        self.rows = max(1, tokens // length)

    def plan(self, epoch: int) -> list[Ints]:
        rng = np.random.default_rng([self.seed, epoch])
        shift = int(rng.integers(self.length))
        starts = np.arange(shift, len(self.ids) - self.length, self.length)
        starts = rng.permutation(starts)
        return [starts[i : i + self.rows] for i in range(0, len(starts), self.rows)]

    def count(self, starts: Ints) -> int:
        """Return the number of labels of a batch."""
        return len(starts) * self.length

    def batch(self, starts: Ints) -> Batch:
        window = self.ids[starts[:, None] + np.arange(self.length + 1)].astype(np.int64)
        return Batch(
            None,
            torch.from_numpy(np.ascontiguousarray(window[:, :-1])),
            torch.from_numpy(np.ascontiguousarray(window[:, 1:])),
        )


Batches = ParallelBatches | StreamBatches


def from_position(batches: Batches, epoch: int, index: int) -> Iterator[tuple[int, int, Ints]]:
    """Yield (epoch, index, rows) without end, from the given batch of the given epoch on."""
    while True:
        plan = batches.plan(epoch)
        for place in range(index, len(plan)):
            yield epoch, place, plan[place]
        epoch, index = epoch + 1, 0
