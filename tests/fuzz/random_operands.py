"""Draws operands of an instruction: names of values, names of tensors, and constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from int8ref.program.program import State, Tensors
from int8ref.reference.interpolate import ENTRIES
from int8ref.reference.layer_norm_l1 import normalized_bound as l1_bound
from int8ref.reference.layer_norm_l2 import normalized_bound as l2_bound
from int8ref.reference.log_softmax import MAX_MULTIPLIER, MAX_SHIFT
from int8ref.reference.sinusoids import QUARTER
from int8ref.spec.scope import Domain, ValueType

POSITIONS = 24
ROWS = ("source", "target", "sentence")
"""Domains of the values that an operation reads row by row."""
INT32_MAX = 2**31 - 1


class RandomOperands:
    """One method for each operation.  It returns the fields without the results.

    The fields may be inconsistent: the operation's own check decides.  A tensor that fits an
    operand is often reused, even if it was made for another operand.  LookupError means that no
    value fits.
    """

    def __init__(self, seed: int, widths: Sequence[int]) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors: Tensors = {}
        self.values: dict[str, ValueType] = {}
        self.states: list[State] = []
        self.widths = [int(w) for w in self.random.choice(widths, 4, replace=False)]
        self.vocabulary = int(self.random.integers(2, 90))
        self.side: Domain = "source"

    # choices

    def chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def one_of(self, things: Sequence[Any]) -> Any:
        return things[int(self.random.integers(len(things)))]

    def number(self, low: int, high: int) -> int:
        """Draw a number in the range.  The ends and numbers near zero are more frequent."""
        near = [x for x in (low, low + 1, high, high - 1, 0, 1) if low <= x <= high]
        if self.chance(0.3):
            return int(self.one_of(near))
        return int(self.random.integers(low, high, endpoint=True))

    def value(
        self, dtypes: str, width: int | None = None, domain: str | None = None, least: int = 1
    ) -> str:
        """Draw a value that fits.  Raises LookupError if no value fits."""
        fits = [
            name
            for name, kind in self.values.items()
            if kind.dtype in dtypes.split()
            and (kind.width >= least if width is None else kind.width == width)
            and (kind.domain == domain if domain else kind.domain in ROWS)
        ]
        if not fits:
            raise LookupError(dtypes)
        recent = fits[-3:] if self.chance(0.6) else fits
        return str(self.one_of(recent))

    def tensor(
        self, dtype: str, shape: tuple[int, ...], low: int | None = None, high: int | None = None
    ) -> str:
        """Return the name of a tensor that fits.  A new tensor has extreme content."""
        limits = np.iinfo(dtype)
        low = int(limits.min) if low is None else low
        high = int(limits.max) if high is None else high
        fits = [
            name
            for name, old in self.tensors.items()
            if old.dtype == dtype and old.shape == shape and low <= old.min() and old.max() <= high
        ]
        if fits and self.chance(0.6):
            return str(self.one_of(fits))
        name = self.one_of(["t", "w + b", "[", '"', "x: quads", "é"]) + str(len(self.tensors))
        content = {
            "uniform": self.random.integers(low, high, shape, endpoint=True),
            "small": self.random.integers(
                max(low, -3), max(min(high, 3), low), shape, endpoint=True
            ),
            "ends": self.random.choice([low, high], shape),
            "constant": np.full(shape, self.number(low, high)),
        }
        self.tensors[name] = content[self.one_of(list(content))].astype(dtype)
        return name

    def factors(self, width: int, low: int, high: int) -> dict[str, str]:
        size = width if self.chance(0.5) else 1
        return {
            "multiplier": self.tensor("int16", (size,), 0, 32767),
            "shift": self.tensor("int8", (1,), low, high),
        }

    # operations

    def embed(self) -> dict[str, Any]:
        side = self.one_of([self.side, "source"])
        width = self.one_of(self.widths)
        least = self.vocabulary if side == "target" else 1
        tables = [t for t in self.tensors.values() if t.ndim == 2 and t.dtype == np.int8]
        rows = [len(t) for t in tables if t.shape[1] == width and len(t) >= least]
        size = self.one_of(rows) if rows and self.chance(0.7) else least + self.number(0, 40)
        shift = self.number(1, 30)
        fields: dict[str, Any] = {
            "ids": f"{side}.ids",
            "table": self.tensor("int8", (size, width)),
            "multiplier": self.number(0, 2 ** self.number(0, 22)),
            "shift": shift,
            "wide_bits": self.number(1, min(shift, 15)),
        }
        if self.chance(0.3):
            most = 2 ** self.number(0, 22)
            channels = self.tensor("int32", (width,), 0, most)
            fields |= {"multiplier": 0, "channel_multiplier": channels}
        kind = self.one_of(["none", "table", "wave"])
        if kind != "none":
            fields["positions"] = f"{side}.positions"
            fields["position_multiplier"] = self.number(0, 2 ** self.number(0, 22))
        if kind == "table":
            rows_there = POSITIONS + self.number(0, 3)
            fields["position_table"] = self.tensor("int8", (rows_there, width))
        if kind == "wave":
            fields["frequencies"] = self.tensor("int32", (width // 2,), 0)
            fields["wave"] = self.tensor("int8", (QUARTER,), -127)
            fields["max_positions"] = POSITIONS + self.number(0, 2**19)
        return fields

    def linear(self, out: int | None = None, domain: str = "target") -> dict[str, Any]:
        x = self.value("int8", domain=domain if out else None)
        k = self.values[x].width
        n = out or self.one_of(self.widths)
        fields: dict[str, Any] = {
            "x": x,
            "weight": self.tensor("int8", (n, k)),
            "bias": self.tensor(self.one_of(["int16", "int32"]), (n,), -32768, 32767)
            if self.chance(0.8)
            else self.tensor("int32", (n,), -(2**29), 2**29),
            "bias_shift": self.number(0, 15),
        }
        kind = "sums" if out else self.one_of(["sums", "shift", "factors"])
        if kind == "shift":
            fields["shift"] = self.tensor("int8", (self.one_of([1, n]),), 1, 30)
        if kind == "factors":
            fields |= self.factors(n, 16, 46)
        if kind != "sums":
            fields["low"] = self.number(-127, 127)
            fields["high"] = self.number(fields["low"], 127)
        return fields

    def requantize(self) -> dict[str, Any]:
        x = self.value("int32")
        fields = {"x": x, "limit": self.number(1, 32767)}
        return {**fields, **self.factors(self.values[x].width, 1, 62)}

    def multiply(self) -> dict[str, Any]:
        a = self.value("int16")
        kind = self.values[a]
        fields = {"a": a, "b": self.value("int8", kind.width, kind.domain)}
        fields["limit"] = self.number(1, 32767 if self.chance(0.5) else 127)
        return {**fields, **self.factors(kind.width, 1, 62)}

    def match_add(self) -> dict[str, Any]:
        raised = self.chance(0.5)
        exponent = self.value("int8", 0) if raised else ""
        domain = self.values[exponent].domain if raised else None
        a = self.value("int32" if raised else "int16 int32", domain=domain)
        kind = self.values[a]
        one, all_of_them = (1,), (kind.width,)
        fields: dict[str, Any] = {
            "a": a,
            "b": self.value("int16" if raised else "int8 int16", kind.width, kind.domain),
            "a_multiplier": self.tensor("int16", self.one_of([one, all_of_them]), 0, 32767),
            "b_multiplier": self.tensor("int16", self.one_of([one, all_of_them]), 0, 32767),
            "b_shift": self.number(0, 30),
            "shift": self.number(1, 61),
            "limit": self.number(1, 32767),
        }
        if raised:
            fields["exponent"] = exponent
            fields["bias"] = self.tensor("int16", all_of_them)
            fields["bias_shift"] = self.number(0, 40)
        return fields

    def _norm(self, bound: Callable[[int], int], most_epsilon: int) -> dict[str, Any]:
        x = self.value("int16")
        width, shift, bias_shift = self.values[x].width, self.number(1, 30), self.number(0, 15)
        room = INT32_MAX - 2 ** (shift - 1)
        gain = min(32767, room // bound(width))
        bias = min(32767, max(room - gain * bound(width), 0) >> bias_shift)
        wide = self.chance(0.7)
        return {
            "x": x,
            "gain": self.tensor("int16", (width,), -gain, gain),
            "bias": self.tensor("int16", (width,), -bias, bias),
            "bias_shift": bias_shift,
            "shift": shift,
            "epsilon": self.number(0, most_epsilon),
            "wide_bits": self.number(1, min(shift, 15)) if wide else 0,
            **({} if wide else {"wide": None}),
        }

    def layer_norm_l1(self) -> dict[str, Any]:
        return self._norm(l1_bound, 2**30)

    def layer_norm_l2(self) -> dict[str, Any]:
        return self._norm(l2_bound, 2**60)

    def rms_norm(self) -> dict[str, Any]:
        return self._norm(l2_bound, 2**60)

    def rms_norm_heads(self) -> dict[str, Any]:
        x, shift = self.value("int16"), self.number(1, 30)
        width = self.values[x].width
        head_width = self.number(1, width)
        heads = self.number(1, width // head_width)
        gain = min(32767, (INT32_MAX - 2 ** (shift - 1)) // l2_bound(head_width))
        return {
            "x": x,
            "gain": self.tensor("int16", (heads * head_width,), -gain, gain),
            "column": self.number(0, width - heads * head_width),
            "heads": heads,
            "head_width": head_width,
            "shift": shift,
            "epsilon": self.number(0, 2**60),
        }

    def rms_norm_branch(self) -> dict[str, Any]:
        x, shift = self.value("int32"), self.number(1, 30)
        kind = self.values[x]
        gain = min(32767, (INT32_MAX - 2 ** (shift - 1)) // l2_bound(kind.width))
        fields: dict[str, Any] = {
            "x": x,
            "multiplier": self.tensor("int16", (self.one_of([1, kind.width]),), 0),
            "gain": self.tensor("int16", (kind.width,), -gain, gain),
            "shift": shift,
            "epsilon": self.number(0, 2**30),
            "epsilon_shift": self.number(0, 255),
        }
        if self.chance(0.4):
            fields["exponent"] = self.value("int8", 0, kind.domain)
            fields["bias"] = self.tensor("int16", (kind.width,))
            fields["bias_shift"] = self.number(0, 40)
        return fields

    def narrow(self) -> dict[str, Any]:
        x = self.value("int16")
        return {"x": x, **self.factors(self.values[x].width, 1, 62)}

    def lookup(self) -> dict[str, Any]:
        dtype, x = self.one_of(["int8", "int16"]), self.value("int8")
        if self.chance(0.7):
            return {"x": x, "table": self.tensor(dtype, (256,))}
        blocks = self.number(1, self.values[x].width)
        return {"x": x, "table": self.tensor(dtype, (256 * blocks,)), "blocks": blocks}

    def pool(self) -> dict[str, Any]:
        if self.side != "source":
            raise LookupError("only the encoder pools")
        x = self.value("int8 int16", domain="source")
        return {
            "x": x,
            "offsets": "source.offsets",
            "rows": self.number(0, 2),
            "limit": self.number(1, 32767),
            **self.factors(self.values[x].width, 1, 40),
        }

    def normalize(self) -> dict[str, Any]:
        return {"x": self.value("int16"), "length": self.number(1, 32767)}

    def interpolate(self) -> dict[str, Any]:
        return {"x": self.value("int16"), "table": self.tensor("int16", (ENTRIES,))}

    def rescale(self) -> dict[str, Any]:
        return {"x": self.value("int16"), "low": self.number(-32768, 0)}

    def argmax(self) -> dict[str, Any]:
        return {"x": self.value("int32")}

    def log_softmax(self) -> dict[str, Any]:
        factor = {"multiplier": self.number(1, MAX_MULTIPLIER), "shift": self.number(0, MAX_SHIFT)}
        return {"x": self.value("int32"), **factor, **self.cap()}

    def cap(self) -> dict[str, int]:
        """The cap of logits, or none."""
        if self.chance(0.5):
            return {}
        return {"cap_multiplier": self.number(1, INT32_MAX), "cap_shift": self.number(1, 62)}

    def rotary(self) -> dict[str, Any]:
        x = self.value("int16", least=2)
        kind = self.values[x]
        head_width = self.number(2, kind.width)
        pairs = self.number(1, head_width // 2)
        shape = (POSITIONS + self.number(0, 2), pairs)
        fields = {
            "x": x,
            "positions": f"{kind.domain}.positions",
            "cosine": self.tensor("int16", shape, -(2**14), 2**14),
            "sine": self.tensor("int16", shape, -(2**14), 2**14),
            "heads": self.number(1, kind.width // head_width),
            "head_width": head_width,
            "pairs": pairs,
        }
        return {**fields, **self.factors(kind.width, 1, 62)}

    def ssru(self) -> dict[str, Any]:
        x = self.value("int16")
        kind = self.values[x]
        gate, state = (self.value("int16", kind.width, kind.domain) for _ in range(2))
        return {"x": x, "gate": gate, "state": state}

    def append(self) -> dict[str, Any]:
        x = self.value("int8", domain="target")
        width = self.number(1, self.values[x].width)
        state = State(f"history{len(self.states)}", f"next{len(self.states)}", "int8", width,
                      "history")  # fmt: skip
        self.states.append(state)
        self.values[state.value] = ValueType("history", "int8", width)
        column = self.number(0, self.values[x].width - width)
        fields = {"x": x, "column": column, "history": state.value}
        return {**fields, "next_history": state.next_value}

    def _attention(self) -> dict[str, Any]:
        histories = [n for n, k in self.values.items() if k.domain == "history"]
        own = bool(histories) and self.chance(0.7)
        keys = "history" if own else "source"
        query = self.value("int8", domain="target" if own else None)
        key, value = (self.value("int8", domain=keys) for _ in range(2))
        widths = [self.values[name].width for name in (query, key, value)]
        shared = self.number(1, 3)  # number of key heads
        head_width = self.number(1, max(1, min(widths[1:]) // shared))
        group = self.number(1, max(1, widths[0] // (shared * head_width)))
        heads = shared * group
        columns = [
            w - heads * head_width // g for w, g in zip(widths, (1, group, group), strict=True)
        ]
        names = ("query_column", "key_column", "value_column")
        fields: dict[str, Any] = {"query": query, "key": key, "value": value}
        fields |= {"heads": heads, "head_width": head_width}
        fields |= {n: self.number(0, max(c, 0)) for n, c in zip(names, columns, strict=True)}
        fields["context_multiplier"] = self.tensor("int32", (heads,), 1)
        fields["context_shift"] = self.tensor("int8", (heads,), 20, 38)
        fields["limit"] = self.number(1, 32767 if self.chance(0.5) else 127)
        if group > 1 or self.chance(0.5):
            fields["group"] = group
        if own and self.chance(0.5):
            fields["window"] = self.number(1, POSITIONS)
        if not own:
            fields["sentence"] = f"{self.values[query].domain}.sentence"
            fields["key_offsets"] = "source.offsets"
        return fields

    def attention_softmax(self) -> dict[str, Any]:
        fields = self._attention()
        shape, shift = (fields["heads"],), self.number(1, 30)
        room = min((2**14 << shift) - 1, INT32_MAX) - 2 ** (shift - 1)
        limit = self.number(1, min(max(room, 1), 2**20))
        fields["score_limit"] = self.tensor("int32", shape, 1, limit)
        fields["score_multiplier"] = self.tensor("int32", shape, 1, max(room // limit, 1))
        if not fields.get("sentence", "").startswith("target") and self.chance(0.3):
            fields["before"], fields["after"] = self.number(0, 9), self.number(0, 9)
            distances = fields["before"] + 1 + fields["after"]
            most = INT32_MAX // 2 - 2**14 * fields["head_width"]
            fields["addend"] = self.tensor("int32", (*shape, distances), -most, most)
        elif self.chance(0.4):
            fields["cap_multiplier"] = self.tensor("int32", shape, 1)
            fields["cap_shift"] = self.number(1, 62)
        return {**fields, "score_shift": shift}

    def attention_polynomial(self) -> dict[str, Any]:
        fields = self._attention()
        shape, most = (fields["heads"],), INT32_MAX - 2**15 - 2**14 * fields["head_width"]
        fields["degree"] = self.number(1, 4)
        fields["score_bias"] = self.tensor("int32", shape, -most, most)
        fields["score_shift"] = self.tensor("int8", shape, 0, 16)
        fields["delta_multiplier"] = self.tensor("int32", shape, 1)
        fields["delta_shift"] = self.tensor("int8", shape, 2, 31)
        return fields
