"""Tiny, complete and valid encoders alone: one that embeds, and one that classifies."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import sentencepiece

from int8ref.files.model_file import Model, Tokenizer
from int8ref.program.program import Program, SourceFrame
from int8ref.reference.log_softmax import LogSoftmax
from tests.helpers.builder import INNER, POSITIONS, WIDTH, ProgramBuilder
from tests.helpers.models import sentencepiece_model

Output = Literal["embedding", "labels"]
LABELS = ("good", "bad", "neither of both")
LENGTH = 300
BLOCKS = 4


class EncoderBuilder(ProgramBuilder):
    """One encoder layer, then the row of each sentence."""

    def rows(self, vocabulary: int) -> str:
        """Add the rows of the tokens.  Return the value of 16 bits."""
        self.weight("embeddings", vocabulary, WIDTH)
        positions = self.random.integers(-32767, 32768, (POSITIONS, WIDTH))
        self.tensor("positions", positions, "int16")
        fields = {"multiplier": 140 << 8, "position_multiplier": 150, "shift": 16, "wide_bits": 5}
        x = self.add(
            "embed",
            "source.embedding",
            ids="source.ids",
            positions="source.positions",
            table="embeddings",
            position_table="positions",
            wide="source.embedding.wide",
            **fields,
        )
        qkv = self.linear(x, "qkv", 3 * WIDTH)
        columns = {"query_column": 0, "key_column": WIDTH, "value_column": 2 * WIDTH}
        mixed = self.attention("mix", "source", query=qkv, key=qkv, value=qkv, **columns)
        y = self.residual(self.linear(mixed, "output", WIDTH, raw=True), x, "norm")
        inner = self.linear(y, "inner", INNER)
        table = self.random.integers(-127, 128, 256 * BLOCKS)
        hidden = self.add(
            "lookup", "hidden", x=inner, table=self.tensor("table", table, "int8"), blocks=BLOCKS
        )
        outer = self.linear(hidden, "outer", WIDTH, INNER, raw=True)
        return f"{self.residual(outer, y, 'last')}.wide"

    def pool(self, x: str, rows: int, limit: int) -> str:
        """Add the row of each sentence."""
        factors = self.random.integers(1 << 13, 1 << 14, WIDTH)
        return self.add(
            "pool",
            "pooled",
            x=x,
            offsets="source.offsets",
            rows=rows,
            multiplier=self.tensor("pooled.multiplier", factors, "int16"),
            shift=self.tensor("pooled.shift", [13 if limit > 127 else 18], "int8"),
            limit=limit,
        )

    def program(self, vocabulary: int, output: Output, rows: int) -> Program:
        """Return the Program."""
        x = self.rows(vocabulary)
        common = {"decoder": [], "states": [], "start": -1, "eos": 0, "unk": 1}
        common |= {"max_source_length": POSITIONS, "max_length_factor": 0}
        common |= {"source_frame": SourceFrame((2,), (0,))}
        if output == "embedding":
            out = self.add("normalize", "unit", x=self.pool(x, rows, 32767), length=LENGTH)
            return Program(encoder=self.take(), logits="", output=out, **common)
        y = self.linear(self.pool(x, rows, 127), "dense", WIDTH)
        out = self.linear(y, "logits", len(LABELS), raw=True)
        softmax = LogSoftmax(x=out, multiplier=3 << 16, shift=14, out="log_softmax")
        return Program(encoder=self.take(), logits=out, log_softmax=softmax, output=out, **common)


@cache
def build_encoder(output: Output = "embedding", rows: int = 0, seed: int = 0) -> Model:
    """Return a valid encoder of random weights.  `rows`: see `reference.pool`."""
    spm = Tokenizer("sentencepiece", sentencepiece_model())
    processor = sentencepiece.SentencePieceProcessor(model_proto=spm.model)
    builder = EncoderBuilder(seed)
    program = builder.program(processor.vocab_size(), output, rows)
    return Model(
        name=f"tiny-{output}",
        languages=("en", "en"),
        program=program,
        tensors=builder.tensors,
        source=spm,
        target=spm,
        provenance={"origin": "random numbers", "licence": "Apache-2.0"},
        labels=LABELS if output == "labels" else (),
    )


def random_batch(seed: int, sentences: int, most: int = 12) -> list[list[int]]:
    """Return framed sentences of random tokens."""
    random = np.random.default_rng(seed)
    lengths = random.integers(0, most, sentences)
    return [[2, *random.integers(3, 40, n).tolist(), 0] for n in lengths]
