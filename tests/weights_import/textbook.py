"""The float models as textbooks define them: NumPy in float64, one sentence, no float program.

Each function takes and gives rows [tokens, features].  `values` collects the rows under the names
of the float program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from weights_import.composer import Normed
from weights_import.operations.addend import Addend
from weights_import.operations.heads import Heads
from weights_import.sources import decoder_only, encoder_decoder
from weights_import.tensors import Tensors

Rows = NDArray[np.float64]
Memory = list[tuple[Rows, Rows]]


def gelu_tanh(v: float) -> float:
    inner = math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)
    return v / 2 * (1 + math.tanh(inner))


ACTIVATIONS: dict[str, Callable[[float], float]] = {
    "relu": lambda v: max(v, 0.0),
    "swish": lambda v: v / (1 + math.exp(-v)),
    "gelu": lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2,
    "gelu_tanh": gelu_tanh,
}


def activated(function: str, x: Rows) -> Rows:
    """The activation of each number, with the functions of `math`."""
    return np.array([ACTIVATIONS[function](v) for v in x.ravel().tolist()]).reshape(x.shape)


class Textbook:
    """One sentence on its way through a model."""

    def __init__(self, tensors: Tensors, norm: Normed) -> None:
        self._tensors = tensors
        self._norm = norm
        self.values: dict[str, Rows] = {}
        self.addends: Mapping[str, Addend] = {}

    def tensor(self, name: str) -> Rows:
        return self._tensors[name].astype(np.float64)

    def note(self, name: str, rows: Rows) -> Rows:
        self.values[name] = rows
        return rows

    def linear(self, name: str, x: Rows) -> Rows:
        y = x @ self.tensor(f"{name}.weight").T
        if f"{name}.bias" in self._tensors:
            y = y + self.tensor(f"{name}.bias")
        return self.note(name, y)

    def norm(self, name: str, x: Rows) -> Rows:
        epsilon = self._norm.epsilon
        centred = x - x.mean(axis=1, keepdims=True)
        y = {
            "l2": lambda: centred / np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + epsilon),
            "l1": lambda: centred / (np.mean(np.abs(centred), axis=1, keepdims=True) + epsilon),
            "rms": lambda: x / np.sqrt(np.mean(x**2, axis=1, keepdims=True) + epsilon),
        }[self._norm.kind]() * self.tensor(f"{name}.gain")
        if f"{name}.bias" in self._tensors:
            y = y + self.tensor(f"{name}.bias")
        return self.note(name, y)

    def add(self, name: str, x: Rows, y: Rows) -> Rows:
        return self.note(name, x + y)

    def embedding(self, name: str, table: str, ids: Sequence[int], scale: float) -> Rows:
        """The id -1 is the zero vector."""
        rows = self.tensor(table)
        return np.stack([rows[i] * scale if i >= 0 else 0 * rows[0] for i in ids])

    def keys(self, at: str, x: Rows) -> tuple[Rows, Rows]:
        return self.linear(f"{at}.key", x), self.linear(f"{at}.value", x)

    def root_norm(self, name: str, x: Rows, size: int) -> Rows:
        """The norm of every `size` columns by the root of the mean square."""
        y, gain = np.empty_like(x), self.tensor(f"{name}.gain")
        for first in range(0, x.shape[1], size):
            part = x[:, first : first + size]
            root = np.sqrt(np.mean(part**2, axis=1, keepdims=True) + self._norm.epsilon)
            y[:, first : first + size] = part / root * gain
        return self.note(name, y)

    def attention(
        self, at: str, x: Rows, memory: tuple[Rows, Rows], heads: Heads, seen: list[int],
        degree: int = 0, cap: float = 0.0,
    ) -> Rows:  # fmt: skip
        """Row i sees the first `seen[i]` keys, or the last keys of these in a window."""
        query, (key, value) = self.linear(f"{at}.query", x), memory
        if heads.norms:
            whole = heads.norms == "row"
            query = self.root_norm(
                f"{at}.query_norm", query, query.shape[1] if whole else heads.size
            )
            key = self.root_norm(f"{at}.key_norm", key, key.shape[1] if whole else heads.size)
        query, key = turned(query, heads), turned(key, heads)
        context = np.zeros((len(x), heads.count * heads.size))
        for h in range(heads.count):
            own = slice(h * heads.size, (h + 1) * heads.size)
            shared = h // (heads.count // heads.key_heads) * heads.size
            theirs = slice(shared, shared + heads.size)
            for i, count in enumerate(seen):
                rows = slice(max(count - heads.window, 0) if heads.window else 0, count)
                scores = key[rows, theirs] @ query[i, own] / math.sqrt(heads.size)
                scores = scores + [self._addend(at, h, j - i) for j in range(rows.start, count)]
                scores = cap * np.tanh(scores / cap) if cap else scores
                weights = self._weights(at, h, scores, degree)
                context[i, own] = weights @ value[rows, theirs] / weights.sum()
        return self.linear(f"{at}.output", self.note(f"{at}.context", context))

    def _addend(self, at: str, head: int, distance: int) -> float:
        if at not in self.addends:
            return 0.0
        own = self.addends[at]
        nearest = min(max(distance, -own.before), own.after)
        return float(self.tensor(own.table)[head, own.before + nearest])

    def _weights(self, at: str, head: int, scores: Rows, degree: int) -> Rows:
        if not degree:
            return np.exp(scores - scores.max())
        bias, delta = self.tensor(f"{at}.score_bias")[head], self.tensor(f"{at}.delta")[head]
        return np.maximum(scores + bias, 0) ** degree + abs(delta)

    def self_attention(
        self, at: str, x: Rows, heads: Heads, causal: bool, degree: int, cap: float = 0.0
    ) -> Rows:
        seen = [i + 1 if causal else len(x) for i in range(len(x))]
        return self.attention(at, x, self.keys(at, x), heads, seen, degree, cap)

    def feed_forward(self, at: str, x: Rows, function: str) -> Rows:
        hidden = activated(function, self.linear(f"{at}.inner", x))
        return self.linear(f"{at}.outer", self.note(f"{at}.hidden", hidden))

    def gated_feed_forward(self, at: str, x: Rows, function: str) -> Rows:
        opened = self.note(f"{at}.opened", activated(function, self.linear(f"{at}.gate", x)))
        product = opened * self.linear(f"{at}.inner", x)
        return self.linear(f"{at}.outer", self.note(f"{at}.product", product))

    def ssru(self, at: str, x: Rows) -> Rows:
        forget = 1 / (1 + np.exp(-self.linear(f"{at}.gate", x)))
        new = self.linear(f"{at}.cell", x)
        states, state = [], np.zeros(x.shape[1])
        for f, n in zip(forget, new, strict=True):
            state = f * state + (1 - f) * n
            states.append(state)
        return self.note(f"{at}.out", np.maximum(states, 0))


def turned(x: Rows, heads: Heads) -> Rows:
    """Rows after their positions turned the pairs (i, i + pairs) of each head."""
    y = x.copy()
    pairs = len(heads.rotary)
    for position in range(len(x)):
        for start in range(0, x.shape[1], heads.size):
            for i, frequency in enumerate(heads.rotary):
                c, s = math.cos(position * frequency), math.sin(position * frequency)
                a, b = x[position, start + i], x[position, start + pairs + i]
                y[position, start + i] = a * c - b * s
                y[position, start + pairs + i] = a * s + b * c
    return y


class EncoderDecoder(Textbook):
    """A Transformer of `encoder_decoder.Shape` on one sentence."""

    def __init__(self, tensors: Tensors, norm: Normed, shape: encoder_decoder.Shape) -> None:
        super().__init__(tensors, norm)
        self.shape = shape
        size = shape.head_size or shape.d_model // shape.heads
        self.heads, self.addends = Heads(shape.heads, size, shape.heads), shape.addends

    def logits(self, source: Sequence[int], previous: Sequence[int]) -> Rows:
        memory: Memory = []
        if self.shape.encoder_layers:
            x = self.encoded(source)
            layers = range(self.shape.decoder_layers)
            memory = [self.keys(f"decoder.{i}.cross", x) for i in layers]
        return self.linear("output", self.decoded(previous, memory))

    def encoded(self, source: Sequence[int]) -> Rows:
        x = self.embedded("encoder", "source", source)
        for i in range(self.shape.encoder_layers):
            x = self.own_attention(f"encoder.{i}.self", x, causal=False)
            x = self.hidden(f"encoder.{i}.ffn", x)
        return self.finished("encoder", x)

    def decoded(self, previous: Sequence[int], memory: Memory) -> Rows:
        x = self.embedded("decoder", "target", previous)
        for i in range(self.shape.decoder_layers):
            at = f"decoder.{i}"
            if self.shape.recurrent:
                y = self.before(f"{at}.ssru", x)
                x = self.after(f"{at}.ssru", x, self.ssru(f"{at}.ssru", y))
            else:
                x = self.own_attention(f"{at}.self", x, causal=True)
            if memory:
                x = self.cross_attention(f"{at}.cross", x, memory[i])
            x = self.hidden(f"{at}.ffn", x)
        return self.finished("decoder", x)

    def own_attention(self, at: str, x: Rows, causal: bool) -> Rows:
        y = self.before(at, x)
        branch = self.self_attention(at, y, self.heads, causal, self.shape.degree)
        return self.after(at, x, branch)

    def cross_attention(self, at: str, x: Rows, memory: tuple[Rows, Rows]) -> Rows:
        seen = [len(memory[0])] * len(x)
        y = self.before(at, x)
        branch = self.attention(at, y, memory, self.heads, seen, self.shape.degree)
        return self.after(at, x, branch)

    def hidden(self, at: str, x: Rows) -> Rows:
        y = self.before(at, x)
        hidden = self.gated_feed_forward if self.shape.gated else self.feed_forward
        return self.after(at, x, hidden(at, y, self.shape.activation))

    def before(self, at: str, x: Rows) -> Rows:
        return self.norm(f"{at}.norm", x) if self.shape.pre_norm else x

    def after(self, at: str, x: Rows, branch: Rows) -> Rows:
        total = self.add(f"{at}.sum", x, branch)
        return total if self.shape.pre_norm else self.norm(f"{at}.norm", total)

    def finished(self, stack: str, x: Rows) -> Rows:
        return self.norm(f"{stack}.norm", x) if self.shape.pre_norm else x

    def embedded(self, stack: str, side: str, ids: Sequence[int]) -> Rows:
        name = f"{stack}.embedding"
        x = self.embedding(name, f"{side}_embedding", ids, self.shape.embedding_scale)
        x = self.note(name, x + self.positions(side, len(ids)))
        return self.norm(f"{name}_norm", x) if self.shape.embedding_norm else x

    def positions(self, side: str, count: int) -> Rows | float:
        if self.shape.addends:
            return 0.0
        if self.shape.max_positions:
            own = side == "target" and self.shape.target_positions
            return self.tensor("target_positions" if own else "positions")[:count]
        half = self.shape.d_model // 2
        angles = [[p * 10000 ** (-i / (half - 1)) for i in range(half)] for p in range(count)]
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


class Llama(Textbook):
    """A decoder alone of `decoder_only.Shape` on one text."""

    def __init__(self, tensors: Tensors, norm: Normed, shape: decoder_only.Shape) -> None:
        super().__init__(tensors, norm)
        self.shape = shape

    def logits(self, source: Sequence[int], previous: Sequence[int]) -> Rows:
        assert not source
        name = "decoder.embedding"
        x = self.note(name, self.embedding(name, "target_embedding", previous, 1.0))
        for i in range(self.shape.layers):
            at, cap = f"decoder.{i}.self", self.shape.score_cap
            branch = self.self_attention(at, self.before(at, x), self.shape.heads, True, 0, cap)
            x = self.add(f"{at}.sum", x, self.behind(at, branch))
            at = f"decoder.{i}.ffn"
            branch = self.gated_feed_forward(at, self.before(at, x), self.shape.activation)
            x = self.add(f"{at}.sum", x, self.behind(at, branch))
        logits, cap = self.linear("output", self.norm("decoder.norm", x)), self.shape.logit_cap
        return self.note("output.capped", cap * np.tanh(logits / cap)) if cap else logits

    def before(self, at: str, x: Rows) -> Rows:
        return x if self.shape.norms == "behind" else self.norm(f"{at}.norm", x)

    def behind(self, at: str, x: Rows) -> Rows:
        if self.shape.norms == "before":
            return x
        return self.root_norm(f"{at}.branch_norm", x, x.shape[1])


def textbook(
    tensors: Tensors, norm: Normed, shape: encoder_decoder.Shape | decoder_only.Shape
) -> EncoderDecoder | Llama:
    """The textbook's model for the tensors of a float model."""
    if isinstance(shape, decoder_only.Shape):
        return Llama(tensors, norm, shape)
    return EncoderDecoder(tensors, norm, shape)
