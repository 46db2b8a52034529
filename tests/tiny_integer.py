"""Tiny Transformers of random weights: Integer ones (pre-norm, L1, polynomial attention), decoders
alone, one of them of Llama's kind."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from int8ref.files.model_file import Model
from int8ref.program.program import Program, State
from int8ref.reference.append import Append
from int8ref.reference.log_softmax import LogSoftmax
from tests.conftest import (
    HEADS,
    INNER,
    POSITIONS,
    WIDTH,
    ProgramBuilder,
    build_tiny_model,
    make_some_end,
)

DECODER_BATCH: list[list[int]] = [[]] * 5
"""A batch for a decoder alone."""


class IntegerBuilder(ProgramBuilder):
    """The residual stream is a value of 16 bits; every sublayer norms it first."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.states: list[State] = []

    def norm(self, x: str, out: str, op: str = "layer_norm_l1") -> str:
        return self.add(
            op,
            out,
            x=x,
            gain=self.tensor(f"{out}.gain", self.random.integers(300, 700, WIDTH), "int16"),
            bias=self.tensor(f"{out}.bias", self.random.integers(-499, 499, WIDTH), "int16"),
            bias_shift=1,
            shift=13,
            epsilon=4,
            wide_bits=0,
        )

    def join(self, branch: str, stream: str, out: str, **raised: Any) -> str:
        """The stream after a sublayer, of which `branch` are the accumulators."""
        return self.add(
            "match_add",
            out,
            a=branch,
            b=stream,
            a_multiplier=self.tensor(f"{out}.a", [2 if raised else 3 << 5], "int16"),
            b_multiplier=self.tensor(f"{out}.b", [1 << 6], "int16"),
            b_shift=3,
            shift=9,
            limit=32767,
            **raised,
        )

    def rescale(self, x: str, out: str, low: int) -> str:
        return self.add("rescale", out, x=x, low=low, exponent=f"{out}.exponent")

    def polynomial(self, name: str, degree: int, **operands: Any) -> str:
        return self.add(
            "attention_polynomial",
            name,
            heads=HEADS,
            head_width=WIDTH // HEADS,
            degree=degree,
            score_bias=self.tensor(f"{name}.score_bias", [9_000, -700], "int32"),
            score_shift=self.tensor(f"{name}.score_shift", [0, 2], "int8"),
            delta_multiplier=self.tensor(f"{name}.delta", [1 << 28, 1 << 20], "int32"),
            delta_shift=self.tensor(f"{name}.delta_shift", [6, 18], "int8"),
            context_multiplier=self.tensor(f"{name}.context_multiplier", [1 << 30] * 2, "int32"),
            context_shift=self.tensor(f"{name}.context_shift", [24, 23], "int8"),
            limit=32767,
            **operands,
        )

    def self_attention(self, stream: str, name: str, degree: int, history: bool) -> str:
        """Of a source, or of the steps so far."""
        qkv = self.linear(self.norm(stream, f"{name}.norm"), f"{name}.qkv", 3 * WIDTH)
        if history:
            seen = self.append(qkv, f"{name}.history")
            operands = {"key": seen, "value": seen, "key_column": 0, "value_column": WIDTH}
        else:
            operands = {"key": qkv, "value": qkv, "key_column": WIDTH, "value_column": 2 * WIDTH}
            operands |= {"sentence": "source.sentence", "key_offsets": "source.offsets"}
        mixed = self.polynomial(f"{name}.wide", degree, query=qkv, query_column=0, **operands)
        return self.project(mixed, stream, name)

    def append(self, qkv: str, name: str, width: int = 2 * WIDTH) -> str:
        """The history with this step's keys and values, so many columns together."""
        state = State(f"{name}.before", name, "int8", width, "history")
        self.states.append(state)
        fields = {"x": qkv, "column": WIDTH, "history": state.value}
        self.sequence.append(Append(next_history=name, **fields))
        return name

    def project(self, wide: str, stream: str, name: str) -> str:
        mixed = self.rescale(wide, f"{name}.mix", low=-32768)
        output = self.linear(mixed, f"{name}.output", WIDTH, raw=True)
        return self.join(output, stream, f"{name}.sum", **self.raised(mixed, f"{name}.bias", 3))

    def hidden(self, stream: str, name: str) -> str:
        """The feed-forward sublayer, each row of its hidden layer re-scaled."""
        x = self.norm(stream, f"{name}.norm")
        accumulators = self.linear(x, f"{name}.accumulator", INNER, raw=True)
        wide = self.wide(accumulators, f"{name}.wide", 22)
        inner = self.rescale(wide, f"{name}.inner", low=0)
        outer = self.linear(inner, f"{name}.outer", WIDTH, INNER, raw=True)
        return self.join(outer, stream, f"{name}.sum", **self.raised(inner, f"{name}.bias", 6))

    def wide(self, accumulators: str, name: str, shift: int) -> str:
        """Accumulators in 16 bits."""
        width = len(self.tensors[f"{accumulators}.weight"])
        return self.add(
            "requantize",
            name,
            x=accumulators,
            multiplier=self.tensor(
                f"{name}.multiplier", [1 << 14, 1 << 12] * (width // 2), "int16"
            ),
            shift=self.tensor(f"{name}.shift", [shift - 6], "int8"),
            limit=32767,
        )

    def raised(self, x: str, bias: str, bias_shift: int) -> dict[str, Any]:
        """What a sum with products of the re-scaled value x needs."""
        found = self.tensor(bias, self.random.integers(-999, 999, WIDTH), "int16")
        return {"exponent": f"{x}.exponent", "bias": found, "bias_shift": bias_shift}

    def finish(self, stream: str, vocabulary: int, **fields: Any) -> Program:
        """Norm, logits and header."""
        y = self.norm(stream, "decoder.norm")
        self.linear(y, "logits", vocabulary, weight="embeddings", raw=True)
        return Program(
            decoder=self.take(),
            states=self.states,
            logits="logits",
            log_softmax=LogSoftmax(x="logits", multiplier=3 << 20, shift=14, out="log_softmax"),
            eos=0,
            unk=1,
            **fields,
        )

    def translation(self, vocabulary: int) -> Program:
        """One encoder layer and two decoder layers, one of which attends to the source."""
        self.weight("embeddings", vocabulary, WIDTH)
        self.weight("positions", POSITIONS, WIDTH)
        self.embed("source", "embeddings")
        x = self.self_attention("source.embedding.wide", "encoder.self", 2, history=False)
        x = self.norm(self.hidden(x, "encoder.ffn"), "encoder.norm")
        memory = self.linear(x, "memory", 2 * WIDTH)
        encoder = self.take()
        self.embed("target", "embeddings")
        y = self.self_attention("target.embedding.wide", "decoder.self", 3, history=True)
        query = self.linear(self.norm(y, "cross.norm"), "cross.query", WIDTH)
        operands = {"query_column": 0, "key_column": 0, "value_column": WIDTH}
        operands |= {"sentence": "target.sentence", "key_offsets": "source.offsets"}
        mixed = self.polynomial("cross.wide", 4, query=query, key=memory, value=memory, **operands)
        y = self.project(mixed, y, "cross")
        y = self.self_attention(self.hidden(y, "decoder.ffn"), "decoder.second", 1, history=True)
        header = {"max_source_length": POSITIONS, "max_length_factor": 250}
        return self.finish(y, vocabulary, encoder=encoder, start=-1, **header)

    def decoder_only(self, vocabulary: int) -> Program:
        """A layer of softmax attention over its history, post-norm by L2, and nothing else."""
        self.weight("embeddings", vocabulary, WIDTH)
        self.weight("positions", POSITIONS, WIDTH)
        x = self.embed("target", "embeddings")
        qkv = self.linear(x, "qkv", 3 * WIDTH)
        seen = self.append(qkv, "history")
        operands = {"key": seen, "value": seen, "key_column": 0, "value_column": WIDTH}
        mixed = self.attention(
            "mix", "target", query=qkv, query_column=0, **operands,
            sentence=None, key_offsets=None,
        )  # fmt: skip
        output = self.linear(mixed, "output", WIDTH, raw=True)
        self.feed_forward(self.residual(output, x, "norm"), "ffn")
        header = {"max_source_length": 0, "max_length_factor": 0}
        return self.finish("ffn.norm.wide", vocabulary, encoder=[], start=2, **header)

    def rotary(self, vocabulary: int) -> Program:
        """A layer as Llama has it: norms by the root of the mean square, rotary positions, a head
        of keys and values for two of queries, a gated hidden layer."""
        self.weight("embeddings", vocabulary, WIDTH)
        fields: dict[str, Any] = {"multiplier": 140, "shift": 8, "wide_bits": 5}
        fields |= {"ids": "target.ids", "table": "embeddings", "wide": "stream"}
        self.add("embed", "embedding", **fields)
        half = WIDTH // HEADS
        x = self.norm("stream", "norm", "rms_norm")
        wide = self.wide(self.linear(x, "qkv.accumulator", 2 * WIDTH, raw=True), "qkv.wide", 20)
        angles = np.arange(POSITIONS)[:, None] * [1.0, 0.1, 0.01]
        turned = self.add(
            "rotary",
            "qkv",
            x=wide,
            positions="target.positions",
            cosine=self.tensor("cosine", np.rint(np.cos(angles) * 2**14), "int16"),
            sine=self.tensor("sine", np.rint(np.sin(angles) * 2**14), "int16"),
            heads=HEADS + 1,
            head_width=half,
            pairs=3,
            multiplier=self.tensor("qkv.multiplier", [1 << 14, 1 << 13] * WIDTH, "int16"),
            shift=self.tensor("qkv.shift", [33], "int8"),
        )
        seen = self.append(turned, "history", WIDTH)
        operands = {"key": seen, "value": seen, "key_column": 0, "value_column": half}
        mixed = self.attention(
            "mix", "target", query=turned, query_column=0, **operands,
            sentence=None, key_offsets=None, group=HEADS,
        )  # fmt: skip
        output = self.linear(mixed, "output", WIDTH, raw=True)
        y = self.gated(self.join(output, "stream", "sum"), "ffn")
        header = {"max_source_length": 0, "max_length_factor": 0}
        return self.finish(y, vocabulary, encoder=[], start=0, **header)

    def gated(self, stream: str, name: str) -> str:
        """A feed-forward sublayer whose hidden layer is multiplied by a gate."""
        x = self.norm(stream, f"{name}.norm", "rms_norm")
        gate = self.linear(x, f"{name}.gate.accumulator", INNER, raw=True)
        steps = np.arange(513) * 128.0 - 2**15
        table = self.tensor(f"{name}.table", steps / (1 + np.exp(-steps / 3000)), "int16")
        opened = self.add(
            "interpolate", f"{name}.gate", x=self.wide(gate, f"{name}.gate.wide", 22), table=table
        )
        hidden = self.add(
            "multiply",
            f"{name}.product",
            a=opened,
            b=self.linear(x, f"{name}.inner", INNER),
            multiplier=self.tensor(
                f"{name}.multiplier", [1 << 14, 1 << 13] * (INNER // 2), "int16"
            ),
            shift=self.tensor(f"{name}.shift", [27], "int8"),
            limit=127,
        )
        outer = self.linear(hidden, f"{name}.outer", WIDTH, INNER, raw=True)
        return self.join(outer, stream, f"{name}.sum")


@cache
def build_tiny_integer(seed: int = 6) -> Model:
    """Encoder and decoder, with the tokenizers of the other tiny model."""
    return _build(seed, "translation")


@cache
def build_tiny_decoder(seed: int = 0) -> Model:
    """A decoder alone."""
    return _build(seed, "decoder_only")


@cache
def build_tiny_rotary(seed: int = 1) -> Model:
    """A decoder alone, of Llama's kind."""
    return _build(seed, "rotary")


def _build(seed: int, kind: str) -> Model:
    plain, builder = build_tiny_model(seed), IntegerBuilder(seed)
    program: Program = getattr(builder, kind)(len(plain.tensors["embeddings"]))
    batch = [[4 + i, 9, 3 + i, 0] for i in range(9)] if program.encoder else DECODER_BATCH
    make_some_end(program, builder.tensors, batch)
    return Model(
        name=f"tiny-{kind.replace('_', '-')}",
        languages=plain.languages,
        program=program,
        tensors=builder.tensors,
        source=plain.source,
        target=plain.target,
        provenance=plain.provenance,
    )
