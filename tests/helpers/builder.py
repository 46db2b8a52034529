"""Builds small Programs from instructions and random tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.program.program import State, Tensors
from int8ref.reference import instructions
from int8ref.reference.append import Append
from int8ref.spec.instruction import Instruction

WIDTH, HEADS, INNER, POSITIONS = 16, 2, 32, 64


class ProgramBuilder:
    """Collects instructions, states, and the random tensors that they name."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors: Tensors = {}
        self.sequence: list[Instruction] = []
        self.states: list[State] = []

    def take(self) -> list[Instruction]:
        """Return the instructions since the last call."""
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
        """Add a linear layer.  The default output is int8 with one multiplier for each channel."""
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
        """Add the layer norm of a + b.

        a: the accumulators of a sublayer, or int16. b: the input of the sublayer, wide.
        """
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
        """Add the accumulators `branch` of a sublayer to the residual stream."""
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

    def wide(self, accumulators: str, name: str, shift: int) -> str:
        """Convert accumulators to 16 bits."""
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

    def append(self, qkv: str, name: str, width: int = 2 * WIDTH) -> str:
        """Append the keys and values of this step to a history of `width` columns."""
        state = State(f"{name}.before", name, "int8", width, "history")
        self.states.append(state)
        fields = {"x": qkv, "column": WIDTH, "history": state.value}
        self.sequence.append(Append(next_history=name, **fields))
        return name

    def raised(self, x: str, bias: str, bias_shift: int) -> dict[str, Any]:
        """Return the fields of a sum whose products have the re-scaled value x as a factor."""
        found = self.tensor(bias, self.random.integers(-999, 999, WIDTH), "int16")
        return {"exponent": f"{x}.exponent", "bias": found, "bias_shift": bias_shift}
