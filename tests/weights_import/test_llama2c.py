"""The reader of llama2.c's models: one model in other files; damaged files; a real model."""

from __future__ import annotations

import contextlib
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import tiny_llama as tiny
from damage import FUZZ, damage
from hypothesis import given
from hypothesis import strategies as st
from log_probabilities import log_probabilities

from int8ref.engines.backends import load_engine
from int8ref.files.model_file import load
from tests.helpers.engines import paths
from weights_import import sources
from weights_import.__main__ import main
from weights_import.calibrate import tokenize
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.float_search import sample
from weights_import.forward import decode, encode
from weights_import.run import State, Weights
from weights_import.sources import llama2c

TARGET = [4, 5, 6, 3, 11, 9, 2, 7]


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("tied", [False, True])
def test_is_the_model_of_transformers(version: int, tied: bool, tmp_path: Path) -> None:
    wanted = sources.read(tiny.write(tmp_path, tie_word_embeddings=tied))
    found = llama2c.read(tiny.write_llama2c(tmp_path, version, tied))
    assert found.tensors.keys() == wanted.tensors.keys()
    for name, tensor in wanted.tensors.items():
        np.testing.assert_array_equal(found.tensors[name], tensor)
    assert found.program == wanted.program
    assert found.tensors.nbytes == wanted.tensors.nbytes
    np.testing.assert_allclose(
        log_probabilities(found, [], TARGET)[:-1],
        log_probabilities(wanted, [], TARGET)[:-1],
        atol=1e-5,
    )


@pytest.mark.parametrize("version", [0, 1])
def test_is_found_in_its_folder(version: int, tmp_path: Path) -> None:
    path = tiny.write_llama2c(tmp_path, version)
    assert sources.files(tmp_path) == [path, tmp_path / "tokenizer.bin"]


def test_its_tokenizer_joins_the_best_pair_first(tmp_path: Path) -> None:
    model = llama2c.read(tiny.write_llama2c(tmp_path))
    made = sentencepiece.SentencePieceProcessor(model_proto=model.tokenizers["target"])
    assert made.encode("ab  ba", out_type=str) == ["▁ab", "▁", "▁", "b", "a"]
    assert (made.bos_id(), made.eos_id(), made.unk_id()) == (1, 1, 0)
    assert tokenize(model, ["cab"]) == [[3, 6, 11, 1]]


@pytest.mark.parametrize(
    ("at", "content", "message"),
    [
        (0, struct.pack("<i", 25), "header: [25, 20, 2, 4, 2, 13, 64] are no sizes of a model"),
        (16, struct.pack("<i", 3), "are no sizes of a model"),
        (8, struct.pack("<i", 3), "its sizes make"),
        (0, struct.pack("<Ii", 0x616B3432, 2), "version 2 (supported: the first layout, and 1)"),
        (28, struct.pack("<f", np.nan), "not finite target_embedding"),
    ],
)
def test_what_is_refused(at: int, content: bytes, message: str, tmp_path: Path) -> None:
    path = tiny.write_llama2c(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[at : at + len(content)] = content
    path.write_bytes(whole)
    with pytest.raises(CheckpointError) as caught:
        llama2c.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tiny.tokenizer()[:-1], "piece 12 at byte"),
        (tiny.tokenizer() + b"\0", "1 bytes after 13 pieces"),
        (tiny.tokenizer().replace(b"g", b"\xff"), "piece 10: 'utf-8'"),
        (tiny.tokenizer().replace(b"g", b"a"), "a piece is there twice"),
    ],
)
def test_tokenizers_that_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tiny.write_llama2c(tmp_path)
    (tmp_path / "tokenizer.bin").write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        llama2c.read(path)
    assert f"tokenizer.bin: {message}" in str(caught.value)


def test_reads_each_tensor_when_it_is_used(tmp_path: Path) -> None:
    """A file that changes meanwhile is refused, and not mixed with the old one."""
    path = tiny.write_llama2c(tmp_path)
    model = llama2c.read(path)
    assert model.provenance["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(CheckpointError, match=r"model.bin: the file changed while it was in use"):
        model.tensors["target_embedding"]


@FUZZ
@given(data=st.data())
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tiny.write_llama2c(tmp_path, data.draw(st.integers(0, 1)))
    damage(data, [path, tmp_path / "tokenizer.bin"], 400, cut=True)
    llama2c.recognises(path)
    with contextlib.suppress(CheckpointError):
        llama2c.read(path)


TOLD = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."
    " One day, she saw a big, red ball. She wanted to play with it, but it was too high.\n"
    "Lily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. She"
    ' said, "I want to play with your ball, but I can\'t find it."\n'
    "Lily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I didn't know what to"
    ' do."\n'
    "Lily didn't want to help her mom, so she said, \"I'm sorry, mom. I didn't know what to do.\""
    " Her mom said, \"Don't worry, Lily. We can help you."
)
"""The output of llama2.c for this model at temperature 0, as published with the model."""


@pytest.fixture
def real(real_model: Callable[[str], Path]) -> Path:
    """A real model that tells stories."""
    return real_model("stories260K")


def likeliest(model: FloatModel, steps: int) -> list[int]:
    """Return the greedy tokens of a decoder alone."""
    weights, state = Weights(model.tensors, keep=True), State()
    memory = encode(model, [[]], weights)
    ids = [model.generation.start]
    for _ in range(steps):
        logits = decode(model, memory, state, np.array(ids[-1:]), weights)
        ids.append(int(logits.argmax()))
    return ids[1:]


def test_a_real_model_tells_the_story_that_it_should(real: Path) -> None:
    model = sources.read(real)
    made = sentencepiece.SentencePieceProcessor(model_proto=model.tokenizers["target"])
    assert made.decode(likeliest(model, 256)) == TOLD


def test_a_real_model_in_integers(real: Path, tmp_path: Path) -> None:
    """The integer model loses less than 0.012 nats a token (1.2 % of perplexity).

    The calibration text and the measured text are different samples of the model.
    """
    out = tmp_path / "made.safetensors"
    assert main([str(real), "-o", str(out), "-q"]) == 0
    model, integer = sources.read(real), load(out)
    texts = [[*text, 1] for text in sample(model, 24, 200, seed=7)]
    exact = [sum(log_probabilities(model, [], text[:-1])) for text in texts]
    engine = load_engine(integer.program, integer.tensors, "compiled")
    found = engine.log_probabilities(paths([[] for _ in texts], [1] * len(texts), texts))
    nats = sum(map(sum, found)) / 2**20 * np.log(2)
    assert sum(exact) - nats < 0.012 * sum(map(len, texts))
