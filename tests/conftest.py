"""A tiny model, whole and valid: every operation of the real ones, no download."""

from __future__ import annotations

import io
import logging
import os
import signal
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import numpy.typing as npt
import pytest
import sentencepiece

from int8ref.engines.backends import load_engine
from int8ref.files.model_file import Model, Tokenizer, save
from int8ref.program.program import Program, State, Tensors
from int8ref.reference import instructions
from int8ref.reference.log_softmax import LogSoftmax
from int8ref.spec.instruction import Instruction

hypothesis.settings.register_profile("dev", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

# Shells start background jobs deaf to interrupts, and processes started here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def messages() -> Iterator[None]:
    """A command that runs in this process takes the messages of the library for itself."""
    log = logging.getLogger("int8ref")
    before = log.handlers, log.propagate, log.level
    yield
    log.handlers, log.propagate, _ = before
    log.setLevel(before[2])


WIDTH, HEADS, INNER, POSITIONS = 16, 2, 32, 64
SENTENCES = (
    "The cat sat on the mat.",
    "A dog ran in the sun, and the cat saw it.",
    "We like to eat red fish; do you?",
    "O gato comeu o peixe.",
    "O sol nasceu e o dia foi bom!",
)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A long value goes by its argument's name, because a test's id is put into the environment."""
    return argname if isinstance(val, str | bytes) and len(val) > 100 else None


@cache
def sentencepiece_model() -> bytes:
    """A SentencePiece model of a few dozen pieces: </s> is 0, <unk> is 1."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4),
        model_writer=out,
        vocab_size=64,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        eos_id=0,
        unk_id=1,
        bos_id=-1,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return out.getvalue()


class ProgramBuilder:
    """Collects instructions and the random tensors that they name."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors: Tensors = {}
        self.sequence: list[Instruction] = []

    def take(self) -> list[Instruction]:
        """The instructions since the last call."""
        taken, self.sequence = self.sequence, []
        return taken

    def tensor(self, name: str, content: npt.NDArray[Any] | list[int], dtype: str) -> str:
        self.tensors[name] = np.asarray(content).astype(dtype)
        return name

    def add(self, op: str, out: str, **fields: Any) -> str:
        self.sequence.append(instructions()[op](out=out, **fields))
        return out

    def weight(self, name: str, outputs: int, inputs: int) -> str:
        return self.tensor(name, self.random.integers(-127, 128, (outputs, inputs)), "int8")

    def embed(self, side: str, table: str) -> str:
        return self.add(
            "embed",
            f"{side}.embedding",
            ids=f"{side}.ids",
            positions=f"{side}.positions",
            table=table,
            position_table="positions",
            multiplier=140,
            position_multiplier=150,
            shift=8,
            wide_bits=5,
            wide=f"{side}.embedding.wide",
        )

    def linear(self, x: str, out: str, outputs: int, inputs: int = WIDTH, **fields: Any) -> str:
        """By default with a multiplier a channel, to int8."""
        if not fields.get("raw"):
            multiplier = self.random.integers(1 << 13, 1 << 14, outputs)
            fields["multiplier"] = self.tensor(f"{out}.multiplier", multiplier, "int16")
            fields["shift"] = self.tensor(f"{out}.shift", [23], "int8")
        fields.pop("raw", None)
        fields.setdefault("weight", f"{out}.weight")
        if fields["weight"] not in self.tensors:
            self.weight(fields["weight"], outputs, inputs)
        bias = self.tensor(f"{out}.bias", self.random.integers(-999, 999, outputs), "int32")
        return self.add("linear", out, x=x, bias=bias, **fields)

    def attention(self, name: str, rows: str, **operands: Any) -> str:
        return self.add(
            "attention_softmax",
            name,
            heads=HEADS,
            head_width=WIDTH // HEADS,
            score_multiplier=self.tensor(f"{name}.score_multiplier", [90_000, 60_000], "int32"),
            score_limit=self.tensor(f"{name}.score_limit", [11_000, 16_000], "int32"),
            score_shift=16,
            context_multiplier=self.tensor(f"{name}.context_multiplier", [1 << 30] * 2, "int32"),
            context_shift=self.tensor(f"{name}.context_shift", [30, 29], "int8"),
            **{"sentence": f"{rows}.sentence", "key_offsets": "source.offsets", **operands},
        )

    def residual(self, a: str, b: str, out: str) -> str:
        """Layer norm of a + b: a sublayer's accumulators, or int16, and its input, wide."""
        total = self.add(
            "match_add",
            f"{out}.sum",
            a=a,
            b=f"{b}.wide",
            a_multiplier=self.tensor(f"{out}.a", [3 << 5], "int16"),
            b_multiplier=self.tensor(f"{out}.b", [1 << 5], "int16"),
            b_shift=2,
            shift=9,
            limit=32767,
        )
        return self.add(
            "layer_norm_l2",
            out,
            x=total,
            gain=self.tensor(f"{out}.gain", self.random.integers(300, 700, WIDTH), "int16"),
            bias=self.tensor(f"{out}.bias", self.random.integers(-499, 499, WIDTH), "int16"),
            bias_shift=1,
            shift=13,
            epsilon=4,
            wide_bits=5,
            wide=f"{out}.wide",
        )

    def feed_forward(self, x: str, name: str) -> str:
        inner = self.linear(x, f"{name}.inner", INNER, low=0)
        outer = self.linear(inner, f"{name}.outer", WIDTH, INNER, raw=True)
        return self.residual(outer, x, f"{name}.norm")

    def recurrence(self, y: str) -> str:
        """SSRU with its gate from a table, then add and norm."""
        steps = np.arange(-128, 128)
        sigmoid = 32767 / (1 + np.exp(-steps / 24))
        raw = self.linear(y, "cell.accumulator", WIDTH, raw=True)
        cell = self.add(
            "requantize",
            "cell",
            x=raw,
            multiplier=self.tensor("cell.multiplier", [1 << 14], "int16"),
            shift=self.tensor("cell.shift", [16], "int8"),
            limit=32767,
        )
        gate = self.add(
            "lookup",
            "gate",
            x=self.linear(y, "gate.input", WIDTH),
            table=self.tensor("gate.table", sigmoid, "int16"),
        )
        mixed = self.add(
            "ssru", "ssru", x=cell, gate=gate, state="ssru.state", next_state="ssru.next"
        )
        return self.residual(mixed, y, "ssru.norm")

    def program(self, vocabulary: int) -> Program:
        """One encoder layer and one decoder layer, post-norm, with tied embeddings."""
        self.weight("embeddings", vocabulary, WIDTH)
        self.weight("positions", POSITIONS, WIDTH)
        x = self.embed("source", "embeddings")
        qkv = self.linear(x, "encoder.qkv", 3 * WIDTH)
        columns = {"query_column": 0, "key_column": WIDTH, "value_column": 2 * WIDTH}
        mixed = self.attention("encoder.mix", "source", query=qkv, key=qkv, value=qkv, **columns)
        output = self.linear(mixed, "encoder.output", WIDTH, raw=True)
        memory = self.feed_forward(self.residual(output, x, "encoder.norm"), "encoder.ffn")
        keys = self.linear(memory, "memory", 2 * WIDTH)
        encoder = self.take()
        y = self.recurrence(self.embed("target", "embeddings"))
        query = self.linear(y, "cross.query", WIDTH)
        columns = {"query_column": 0, "key_column": 0, "value_column": WIDTH}
        mixed = self.attention("cross.mix", "target", query=query, key=keys, value=keys, **columns)
        output = self.linear(mixed, "cross.output", WIDTH, raw=True)
        y = self.feed_forward(self.residual(output, y, "cross.norm"), "decoder.ffn")
        self.linear(y, "logits", vocabulary, weight="embeddings", raw=True)
        return Program(
            encoder=encoder,
            decoder=self.take(),
            states=[State("ssru.state", "ssru.next", "int16", WIDTH)],
            logits="logits",
            log_softmax=LogSoftmax(x="logits", multiplier=3 << 20, shift=14, out="log_softmax"),
            start=-1,
            eos=0,
            unk=1,
            max_source_length=POSITIONS,
            max_length_factor=250,
        )


def make_some_end(program: Program, tensors: Tensors, batch: list[list[int]]) -> None:
    """Give eos a constant logit that is the largest in one step of ten or so."""
    tensors["embeddings"][program.eos] = 0
    session = load_engine(program, tensors, "reference").session(batch)
    ids = np.full(len(batch), program.start, np.int32)
    largest = []
    for _ in range(20):
        logits = session.step(ids)
        ids = logits.argmax(axis=1).astype(np.int32)
        largest += logits.max(axis=1).tolist()
    tensors["logits.bias"][program.eos] = sorted(largest)[len(largest) // 10]


@cache
def build_tiny_model(seed: int = 0) -> Model:
    """A model of random weights: the same for the same seed, and a valid program."""
    spm = Tokenizer("sentencepiece", sentencepiece_model())
    processor = sentencepiece.SentencePieceProcessor(model_proto=spm.model)
    builder = ProgramBuilder(seed)
    program = builder.program(processor.vocab_size())
    make_some_end(program, builder.tensors, [[*processor.encode(s), 0] for s in SENTENCES])
    return Model(
        name="tiny",
        languages=("en", "pt"),
        program=program,
        tensors=builder.tensors,
        source=spm,
        target=spm,
        provenance={"origin": "random numbers", "licence": "Apache-2.0"},
    )


@pytest.fixture(scope="session")
def tiny_model() -> Callable[[int], Model]:
    """tiny_model(seed) -> Model."""
    return build_tiny_model


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of tiny_model(2), which translates into this and that."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save(path, build_tiny_model(2))
    return path
