"""Small, complete and valid Transformers of four kinds, as Programs of random weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec.structs import replace

from int8ref.program.program import Program, State
from int8ref.reference.log_softmax import LogSoftmax
from tests.helpers.builder import HEADS, INNER, POSITIONS, WIDTH, ProgramBuilder


class TinyPrograms(ProgramBuilder):
    """One method for each kind of model.  `vocabulary`: number of its tokens."""

    def recurrence(self, y: str) -> str:
        """Add an SSRU with its gate from a table, then the residual addition and the norm."""
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

    def recurrent(self, vocabulary: int) -> Program:
        """Return one encoder layer and one decoder layer, post-norm, with tied embeddings."""
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

    def self_attention(self, stream: str, name: str, degree: int, history: bool) -> str:
        """Add self-attention over the source, or over the history of the decoder."""
        qkv = self.linear(self.norm(stream, f"{name}.norm"), f"{name}.qkv", 3 * WIDTH)
        if history:
            seen = self.append(qkv, f"{name}.history")
            operands = {"key": seen, "value": seen, "key_column": 0, "value_column": WIDTH}
        else:
            operands = {"key": qkv, "value": qkv, "key_column": WIDTH, "value_column": 2 * WIDTH}
            operands |= {"sentence": "source.sentence", "key_offsets": "source.offsets"}
        mixed = self.polynomial(f"{name}.wide", degree, query=qkv, query_column=0, **operands)
        return self.project(mixed, stream, name)

    def project(self, wide: str, stream: str, name: str) -> str:
        mixed = self.rescale(wide, f"{name}.mix", low=-32768)
        output = self.linear(mixed, f"{name}.output", WIDTH, raw=True)
        return self.join(output, stream, f"{name}.sum", **self.raised(mixed, f"{name}.bias", 3))

    def hidden(self, stream: str, name: str) -> str:
        """Add the feed-forward sublayer.  Each row of its hidden layer is re-scaled."""
        x = self.norm(stream, f"{name}.norm")
        accumulators = self.linear(x, f"{name}.accumulator", INNER, raw=True)
        wide = self.wide(accumulators, f"{name}.wide", 22)
        inner = self.rescale(wide, f"{name}.inner", low=0)
        outer = self.linear(inner, f"{name}.outer", WIDTH, INNER, raw=True)
        return self.join(outer, stream, f"{name}.sum", **self.raised(inner, f"{name}.bias", 6))

    def gated(self, stream: str, name: str) -> str:
        """Add a feed-forward sublayer whose hidden layer is multiplied by a gate."""
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

    def finish(self, stream: str, vocabulary: int, **fields: Any) -> Program:
        """Add the last norm and the logits.  Return the Program."""
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
        """Return one encoder layer and two decoder layers.  One of these attends to the source."""
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

    def decoder(self, vocabulary: int) -> Program:
        """Return one layer of softmax attention over its history, post-norm with L2."""
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

    def capped(self, vocabulary: int) -> Program:
        """Return a layer that reads the stream itself, with norms of its queries and keys.

        It sees three steps alone, and its scores and its logits have soft caps.
        """
        self.weight("embeddings", vocabulary, WIDTH)
        fields: dict[str, Any] = {"multiplier": 140, "shift": 8, "wide_bits": 5}
        fields |= {"ids": "target.ids", "table": "embeddings", "wide": "stream"}
        self.add("embed", "embedding", **fields)
        x = self.narrow("stream", "narrowed", [1 << 14] * WIDTH, 19)
        wide = self.wide(self.linear(x, "qkv.accumulator", 3 * WIDTH, raw=True), "qkv.wide", 20)
        for name, column, heads in (("query", 0, HEADS), ("key", WIDTH, 1)):
            gain = self.random.integers(3000, 9000, WIDTH)
            wide = self.add(
                "rms_norm_heads",
                f"{name}.norm",
                x=wide,
                gain=self.tensor(f"{name}.gain", gain, "int16"),
                column=column,
                heads=heads,
                head_width=WIDTH // heads,
                shift=10,
                epsilon=5,
            )
        qkv = self.narrow(wide, "qkv", [1 << 14, 1 << 13] * (3 * WIDTH // 2), 21)
        seen = self.append(qkv, "history")
        operands = {"key": seen, "value": seen, "key_column": 0, "value_column": WIDTH}
        mixed = self.attention(
            "mix", "target", query=qkv, query_column=0, **operands, sentence=None,
            key_offsets=None, window=3, cap_shift=6,
            cap_multiplier=self.tensor("mix.cap_multiplier", [20_000, 9_000], "int32"),
        )  # fmt: skip
        output = self.linear(mixed, "output", WIDTH, raw=True)
        branch = self.add(
            "rms_norm_branch",
            "branch",
            x=output,
            multiplier=self.tensor("branch.multiplier", [1 << 13, 1 << 14] * (WIDTH // 2), "int16"),
            gain=self.tensor("branch.gain", self.random.integers(3000, 9000, WIDTH), "int16"),
            shift=10,
            epsilon=3,
            epsilon_shift=20,
        )
        y = self.hidden(self.join(branch, "stream", "sum"), "ffn")
        header = {"max_source_length": 0, "max_length_factor": 0}
        program = self.finish(y, vocabulary, encoder=[], start=0, **header)
        step = program.log_softmax
        capped = replace(step, multiplier=710, shift=14, cap_multiplier=13 << 16, cap_shift=16)
        return replace(program, log_softmax=capped)

    def narrow(self, x: str, out: str, multiplier: list[int], shift: int) -> str:
        return self.add(
            "narrow",
            out,
            x=x,
            multiplier=self.tensor(f"{out}.multiplier", multiplier, "int16"),
            shift=self.tensor(f"{out}.shift", [shift], "int8"),
        )

    def rotary(self, vocabulary: int) -> Program:
        """Return a layer of Llama's kind.

        It has RMS norms, rotary positions, one head of keys and values for two heads of queries,
        and a gated hidden layer.
        """
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
