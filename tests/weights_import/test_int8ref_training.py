"""Checkpoints of the training recipe: equal to a separate forward pass; damaged files."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_training as tiny
from safetensors.numpy import save_file

from tests.training.file_model import FileModel
from weights_import import sources
from weights_import.errors import CheckpointError
from weights_import.forward import decode, encode, forced
from weights_import.run import State, Weights

SOURCES = [[5, 9, 7, 3], [3], [4, 8, 12, 20, 6, 3]]
TARGETS = [[9, 10, 11, 12], [], [7, 6, 5]]


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_logits_are_those_of_the_file(kind: str, tmp_path: Path) -> None:
    """Teacher forcing in a padded batch equals a pass of one sentence from the file alone."""
    path = tiny.write(tmp_path, **tiny.KINDS[kind])
    oracle, model = FileModel(path), sources.read(path)
    alone = not model.translates
    batch = [[] for _ in SOURCES] if alone else SOURCES
    start = oracle.shape["decoder_starts_with"]
    for source, target, found in zip(batch, TARGETS, forced(model, batch, TARGETS), strict=True):
        expected = oracle.logits(None if alone else source, [start, *target])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_step_by_step_is_teacher_forcing(kind: str, tmp_path: Path) -> None:
    """Keys and values of earlier steps are kept, also for selected rows."""
    model = sources.read(tiny.write(tmp_path, **tiny.KINDS[kind]))
    batch = SOURCES[::2] if model.translates else [[], []]
    target = [7, 6, 5, 12]
    wanted = forced(model, batch, [target, target])
    memory, state, weights = encode(model, batch), State(), Weights(model.tensors)
    order = np.array([0, 1])
    for step, token in enumerate([model.generation.start, *target]):
        found = decode(model, memory, state, np.full(2, token), weights)
        for row, i in enumerate(order):
            np.testing.assert_array_equal(found[row], wanted[i][step])
        turn = np.array([1, 0])
        memory, state, order = memory.select(turn), state.select(turn), order[turn]


def test_what_is_read(tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path))
    assert model.languages == ("en", "de")
    assert model.tensors.stored("source_embedding") is model.tensors.stored("output.weight")
    assert model.tokenizers == {"source": tiny.tokenizer(), "target": tiny.tokenizer()}
    assert model.provenance["origin"] == "random numbers"
    assert (model.generation.start, model.generation.eos) == (2, 3)
    encode(model, [[*[5] * 39, 3]])
    with pytest.raises(ValueError, match="41 positions, but the model has only 40"):
        encode(model, [[*[5] * 40, 3]])
    alone = sources.read(tiny.write(tmp_path, encoder_layers=0, languages=["en"]))
    assert set(alone.tokenizers) == {"target"}
    assert alone.languages == ("en", "en")
    assert not any(name.startswith(("encoder", "source")) for name in alone.tensors)


def test_a_decoder_alone_takes_no_source(tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, encoder_layers=0))
    with pytest.raises(ValueError, match="source 1: a token id is outside"):
        forced(model, [[], [3]], [[4], [4]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version"),
        ({"format": "other.training.transformer int8ref.training.transformer"}, "format"),
        ({"attention": "linear"}, "attention"),
        ({"ffn_activation": "gelu"}, "ffn_activation"),
        ({"tied_embeddings": False}, "tied_embeddings"),
        ({"degree": 5}, r"degree=5 of polynomial attention \(supported: \[1, 2, 3, 4\]\)"),
        ({"degree": None}, "degree=0 of polynomial"),
        ({"degree": 2.5}, "degree"),
        ({"score_scale": 0.5}, "score_scale 0.5, expected 0.35"),
        ({"embedding_scale": float("nan")}, "header: NaN is not JSON"),
        ({"task": "language_model"}, "2 encoder layers for language_model"),
        ({"decoder_starts_with": 99}, "start=99 is outside"),
        ({"heads": 3, "score_scale": (16 / 3) ** -0.5}, "d_model=16 is not divisible by heads=3"),
        ({"vocabulary": 30}, "wrong shape"),
        ({"decoder_layers": 1}, "unused"),
        ({"norm_position": "post"}, "unused encoder.norm.gain"),
        ({"surprise": 1}, "surprise"),
        ({"tokenizer": "../tiny.tokenizer.model"}, "tokenizer"),
        ({"tokenizer": "absent.model"}, "tokenizer absent.model is not beside it"),
    ],
)
def test_refuses_headers(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path)
    shape = tiny.described() | changes
    save_file(tiny.tensors(tiny.described(), 0), path, {"architecture": json.dumps(shape)})
    with pytest.raises(CheckpointError, match=message):
        sources.read(path)


def test_refuses_other_tensors(tmp_path: Path) -> None:
    path, shape = tiny.write(tmp_path), tiny.described()
    found: dict[str, Any] = tiny.tensors(shape, 0)
    del found["encoder.layers.1.self_attention.weights.delta"]
    found["decoder.norm.gain"][3] = np.nan
    found["extra"] = np.zeros(3, np.float32)
    save_file(found, path, {"architecture": json.dumps(shape)})
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    for part in (
        "missing encoder.1.self.delta [2]",
        "not finite decoder.norm.gain",
        "unused extra",
    ):
        assert part in str(caught.value)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda whole: whole[:-1],
    "longer": lambda whole: whole + b"\0",
    "half": lambda whole: whole[: len(whole) // 2],
    "another type": lambda whole: whole.replace(b'"F32"', b'"F16"', 1),
    "an overlap": lambda whole: whole.replace(b"[0,", b"[4,", 1),
    "no offsets": lambda whole: whole.replace(b'"data_offsets"', b'"data_offsetz"', 1),
    "not JSON": lambda whole: whole.replace(b'{"', b"{{", 1),
    "a key twice": lambda whole: whole.replace(b'"positions"', b'"__metadata__"', 1),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_refuses_damaged_files(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tiny.write(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    with pytest.raises(CheckpointError, match=r"tiny\.safetensors"):
        sources.read(path)


def test_a_header_longer_than_the_file_is_not_read(tmp_path: Path) -> None:
    path = tiny.write(tmp_path)
    for length in (0, 1, path.stat().st_size, 2**63):
        path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
        with pytest.raises(CheckpointError, match="no checkpoint of a known format"):
            sources.read(path)


def test_other_safetensors_files_are_left_alone(tmp_path: Path) -> None:
    """A folder may contain a model file of the engine beside the checkpoint."""
    tiny.write(tmp_path)
    save_file({"x": np.zeros(3, np.float32)}, tmp_path / "other.safetensors", {"int8ref": "{}"})
    assert sources.read(tmp_path).provenance["file"] == "tiny.safetensors"
