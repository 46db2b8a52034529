from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import sentencepiece

torch = pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")

from training.batches import Lines, ParallelBatches, StreamBatches, from_position  # noqa: E402
from training.prepare import BOS, EOS, PAD  # noqa: E402


def test_ids_decode_to_the_text(toy_data: Path) -> None:
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(toy_data / "tokenizer.model"))
    lines = Lines(toy_data, "valid.source")
    rows = lines.padded(np.arange(len(lines.lengths)))
    found = [tokenizer.decode([int(i) for i in row if i not in (PAD, EOS)]) for row in rows]
    assert found == (toy_data / "valid.source.txt").read_text().splitlines()
    assert all(row[length - 1] == EOS for row, length in zip(rows, lines.lengths, strict=True))


def test_an_epoch_holds_every_pair_once_within_the_budget(toy_data: Path) -> None:
    batches = ParallelBatches(toy_data, "train", 120, 100, seed=3)
    plan = batches.plan(0)
    assert sorted(np.concatenate(plan)) == list(range(len(batches.target.lengths)))
    for rows in plan:
        batch = batches.batch(rows)
        assert batch.source is not None
        assert max(batch.source.numel(), batch.labels.numel()) <= 120
        assert (batch.inputs[:, 0] == BOS).all()
        assert torch.equal(batch.inputs[:, 1:], batch.labels[:, :-1])


def test_order_depends_on_seed_and_epoch_alone(toy_data: Path) -> None:
    def flat(seed: int, epoch: int) -> list[int]:
        batches = ParallelBatches(toy_data, "train", 120, 100, seed)
        return np.concatenate(batches.plan(epoch)).tolist()

    assert flat(1, 0) == flat(1, 0)
    assert flat(1, 0) != flat(2, 0)
    assert flat(1, 0) != flat(1, 1)


def test_stream_continues_from_any_position(toy_data: Path) -> None:
    batches = ParallelBatches(toy_data, "train", 120, 100, seed=3)
    whole = list(islice(from_position(batches, 0, 0), 25))
    epoch, index, _ = whole[14]
    for old, new in zip(whole[15:], from_position(batches, epoch, index + 1), strict=False):
        assert old[:2] == new[:2]
        assert old[2].tolist() == new[2].tolist()


def test_windows_of_a_stream_are_successive_text(toy_data: Path) -> None:
    batches = StreamBatches(toy_data, "train", 64, 16, seed=1)
    starts = np.concatenate(batches.plan(0))
    assert len(starts) == len(set(starts.tolist()))
    batch = batches.batch(batches.plan(0)[0])
    assert batch.source is None
    assert torch.equal(batch.inputs[:, 1:], batch.labels[:, :-1])
    start = int(batches.plan(0)[0][0])
    assert batch.labels[0].tolist() == batches.ids[start + 1 : start + 17].tolist()
