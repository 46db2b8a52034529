"""Float models: how they generate, and what is inconsistent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import every_kind
import numpy as np
import pytest
import tiny_marian as tiny

from int8ref.program.program import SourceFrame
from weights_import.errors import CheckpointError
from weights_import.float_model import Generation
from weights_import.tensors import Stored, Tensors


def test_everything_inconsistent_is_told_at_once() -> None:
    changes: dict[str, Any] = {
        "eos": 11, "unk": -1, "start": -2, "max_positions": -1, "target_prefix": (4, 11),
    }  # fmt: skip
    with pytest.raises(CheckpointError) as caught:
        replace(tiny.GENERATION, **changes)
    for name, value in changes.items():
        assert f"{name}={value!r}" in str(caught.value)
    assert "source tokens [11] are outside a vocabulary of 11" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target_vocabulary": 0}, "target_vocabulary=0 is not positive"),
        ({"source_vocabulary": -1}, "source_vocabulary=-1 is negative"),
        ({"source_vocabulary": 1}, "unk=1 is outside a vocabulary of 1"),
        ({"source_frame": SourceFrame((3,), (12,))}, r"source tokens \[3, 12\] are outside"),
        ({"source_special": (4, 11)}, r"source tokens \[0, 4, 11\] are outside"),
        ({"start": 11}, "start=11 is outside a vocabulary of 11"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        replace(tiny.GENERATION, **changes)


def test_special_tokens_of_the_source_free_those_of_the_target() -> None:
    made = replace(tiny.GENERATION, eos=10, source_vocabulary=4, source_special=(2, 3),
                   source_frame=SourceFrame((), (2,)))  # fmt: skip
    assert made.frame.around([1]) == [1, 2]


def test_the_frame_of_a_source_is_its_end() -> None:
    assert tiny.GENERATION.frame == SourceFrame(after=(0,))
    assert Generation(0, 5, 1, 11).frame.around([4, 4]) == [4, 4, 5]


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_what_the_decoder_reads_of_the_encoder(kind: str) -> None:
    model = every_kind.random_model(kind)
    alone = kind in every_kind.LLAMAS or "decoder" in kind
    assert model.translates is not alone
    parts = [] if alone else ["0.cross.key", "0.cross.value", "1.cross.key", "1.cross.value"]
    assert model.memory_values == {f"decoder.{part}" for part in parts}


def test_tied_tensors_count_once_and_are_read_anew() -> None:
    reads = []

    def read() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        reads.append(0)
        return np.ones((3, 4), np.float32)

    table = Stored("table", (3, 4), read)
    tensors = Tensors({"source_embedding": table, "output.weight": table})
    tensors["output.bias"] = np.zeros(3, np.float32)
    assert tensors.nbytes == 4 * (12 + 3)
    assert tensors.shape("output.weight") == (3, 4)
    assert not reads
    assert tensors["source_embedding"].sum() == tensors["output.weight"].sum() == 12
    assert len(reads) == 2
    turned = table.changed((4, 3), np.transpose)
    assert turned.shape == turned.read().shape == (4, 3)


def test_a_copy_of_tensors_leaves_them_alone() -> None:
    tensors = Tensors({"a": np.zeros(3, np.float32), "b": np.zeros(2, np.float32)})
    copy = tensors.copy()
    copy["a"] = np.ones(3, np.float32)
    del copy["b"]
    assert tensors["a"].tolist() == [0, 0, 0]
    assert [*tensors] == ["a", "b"]
    assert [*copy] == ["a"]
    assert "b" not in copy
