"""The forward pass of a FloatModel in NumPy float32: encoder, decoder, teacher forcing.

A value that leaves float32 raises CheckpointError that names it, and the weights to look at.
Token ids of a source are in their frame (`eos` after them).  Sentences of a batch are padded to its
longest one; the padding is masked in every attention and never observed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weights_import.activations import ACTIVATIONS, sigmoid
from weights_import.finite import quietly, require_finite
from weights_import.float_model import Architecture, Float32, FloatModel
from weights_import.id_batch import Ids, Mask, check_ids, check_sources, pad

Observer = Callable[[str, Float32], None]

ZERO_VECTOR = -1


@dataclass
class Memory:
    """What the decoder sees of the encoder: cross keys and values of every decoder layer.

    keys, values: one [batch, heads, source, head_size] a layer, none without an encoder;
    mask: [batch, source].
    """

    keys: list[Float32]
    values: list[Float32]
    mask: Mask

    def select(self, rows: NDArray[np.intp]) -> Memory:
        return Memory([k[rows] for k in self.keys], [v[rows] for v in self.values], self.mask[rows])


Cell = tuple[Float32, ...]
"""What a decoder layer remembers: the SSRU cell [batch, d], or the keys and the values of
self-attention [batch, heads, decoded, head_size]."""


@dataclass
class DecoderState:
    """The number of tokens decoded so far, and the cell of every layer."""

    position: int
    cells: list[Cell]

    def select(self, rows: NDArray[np.intp]) -> DecoderState:
        return DecoderState(
            self.position, [tuple(part[rows] for part in cell) for cell in self.cells]
        )


@dataclass(frozen=True)
class _Pass:
    """One batch on its way through one stack; `mask` [batch, length] is true at real tokens."""

    model: FloatModel
    mask: Mask
    observe: Observer | None

    def see(self, name: str, x: Float32) -> Float32:
        """A value that must be finite at real tokens, shown to the observer."""
        self.check(name, x)
        if self.observe is not None:
            self.observe(name, x[self.mask])
        return x

    def check(self, name: str, x: Float32) -> None:
        if not np.isfinite(x).all():
            require_finite(self.model, name, x[self.mask])

    def linear(self, name: str, x: Float32) -> Float32:
        """y = x W^T + b for a W of [out, in]; b may be absent."""
        weight = self.model.tensors[f"{name}.weight"]
        bias = self.model.tensors.get(f"{name}.bias")
        y = x.reshape(-1, x.shape[-1]) @ weight.T
        if bias is not None:
            y += bias
        return y.reshape(*x.shape[:-1], -1)

    def embed(self, stack: str, side: str, ids: NDArray[np.int64], position: int) -> Float32:
        """E[id] * embedding_scale + positions (but for rotary ones), and the norm that some models
        have there; the id -1 embeds as the zero vector."""
        architecture, table = self.model.architecture, self.model.tensors[f"{side}_embedding"]
        rows = table[ids] * np.float32(architecture.embedding_scale)
        rows[ids == ZERO_VECTOR] = 0
        if not architecture.rotary:
            rows += self.model.position_table(side, position + ids.shape[1])[position:]
        x = self.see(f"{stack}.embedding", rows)
        return self.norm(f"{stack}.embedding_norm", x) if architecture.embedding_norm else x

    def residual(self, block: str, x: Float32, branch: Callable[[Float32], Float32]) -> Float32:
        """pre-norm: x + branch(norm(x));  post-norm: norm(x + branch(x))."""
        if self.model.architecture.norm_position == "pre":
            return self.see(f"{block}.sum", x + branch(self.norm(f"{block}.norm", x)))
        return self.norm(f"{block}.norm", self.see(f"{block}.sum", x + branch(x)))

    def finish(self, stack: str, x: Float32) -> Float32:
        """The norm behind the last layer, which pre-norm has."""
        pre = self.model.architecture.norm_position == "pre"
        return self.norm(f"{stack}.norm", x) if pre else x

    def norm(self, name: str, x: Float32) -> Float32:
        """(x - mean) / spread * gain + bias, with c = x - mean and the spread

        l2   sqrt(mean(c^2) + epsilon)
        l1   mean(|c|) + epsilon
        rms  as l2, with c = x and no mean
        """
        kind = self.model.architecture.norm
        epsilon = np.float32(self.model.architecture.norm_epsilon)
        y = x if kind == "rms" else x - x.mean(axis=-1, keepdims=True)
        size: Any  # float32, although NumPy 2.5 declares float64
        if kind == "l1":
            size = np.abs(y).mean(axis=-1, keepdims=True) + epsilon
        else:
            size = np.sqrt(np.square(y).mean(axis=-1, keepdims=True) + epsilon)
        self.check(name, size)
        y = y / size
        y *= self.model.tensors[f"{name}.gain"]
        bias = self.model.tensors.get(f"{name}.bias")
        return self.see(name, y if bias is None else y + bias)

    def feed_forward(self, block: str, x: Float32) -> Float32:
        def branch(y: Float32) -> Float32:
            inner = self.linear(f"{block}.inner", y)
            if self.model.architecture.gated:
                gate = self.activate(f"{block}.gate", self.linear(f"{block}.gate", y))
                hidden = self.see(f"{block}.product", gate * self.see(f"{block}.inner", inner))
            else:
                hidden = self.activate(f"{block}.inner", inner)
            return self.linear(f"{block}.outer", hidden)

        return self.residual(block, x, branch)

    def activate(self, name: str, x: Float32) -> Float32:
        """The activation of a hidden layer or its gate; what goes in is observed too, unless it is
        the ReLU of a hidden layer, which needs to know nothing of it."""
        activation = self.model.architecture.activation
        if activation != "relu" or self.model.architecture.gated:
            self.see(f"{name}.before", x)
        return self.see(name, ACTIVATIONS[activation](x))

    def heads(self, name: str, x: Float32, first: int | None = None) -> Float32:
        """A projection, observed, split to [batch, heads, length, head_size]; turned by its rotary
        positions, which begin at `first`, where that is given."""
        y = self.linear(name, x)
        split = y.reshape(*y.shape[:2], -1, self.model.architecture.head_size)
        angles = np.array(self.model.architecture.rotary)
        if first is not None and angles.size:
            split = turned(split, np.arange(first, first + y.shape[1])[:, None, None] * angles)
        seen = self.see(name, split.reshape(y.shape)).reshape(split.shape)
        return np.ascontiguousarray(seen.transpose(0, 2, 1, 3))

    def attend(
        self,
        block: str,
        x: Float32,
        keys: Float32,
        values: Float32,
        mask: Mask,
        first: int | None = None,
    ) -> Float32:
        """Output projection of the values, weighted by Q K^T / sqrt(head_size).

        `mask`: [batch, 1 or length, keys], true at the keys that a position sees; `first`: the
        position of the first row, in self-attention.
        """
        group = self.model.architecture.group
        if group > 1:
            keys, values = keys.repeat(group, axis=1), values.repeat(group, axis=1)
        scores = self.heads(f"{block}.query", x, first) @ keys.swapaxes(-1, -2)
        scores *= np.float32(self.model.architecture.head_size**-0.5)
        context = self.weights(block, scores, mask[:, None]) @ values
        joined = context.transpose(0, 2, 1, 3).reshape(x.shape)
        return self.linear(f"{block}.output", self.see(f"{block}.context", joined))

    def weights(self, block: str, scores: Float32, mask: Mask) -> Float32:
        """Scores to weights, in place: a softmax, or [ReLU(score + b)]^degree + |delta| over its
        sum, with the mask after the polynomial (Lin et al. 2020, Eq. 11)."""
        if self.model.architecture.attention == "softmax":
            scores += np.where(mask, np.float32(0), np.float32(-np.inf))
            return softmax(scores)
        tensors, degree = self.model.tensors, self.model.architecture.degree
        scores += tensors[f"{block}.score_bias"][:, None, None]
        weights: Float32 = np.maximum(scores, 0, out=scores) ** degree
        weights += np.abs(tensors[f"{block}.delta"])[:, None, None]
        weights *= mask
        total = weights.sum(axis=-1, keepdims=True)
        weights /= np.where(np.isinf(total), np.float32(np.nan), total)  # or they would all be 0
        return weights

    def attention(
        self, block: str, x: Float32, keys: Float32, values: Float32, mask: Mask
    ) -> Float32:
        """Attention to a source that is encoded already; `mask` [batch, keys]."""
        return self.residual(block, x, lambda y: self.attend(block, y, keys, values, mask[:, None]))

    def self_attention(
        self, block: str, x: Float32, cell: Cell, mask: Mask
    ) -> tuple[Float32, Cell]:
        """Attention to itself and to what came before, which `cell` holds.

        `mask`: [batch, 1 or length, all so far].  Returns the output and the keys and values of all
        so far.
        """
        seen = cell

        def branch(y: Float32) -> Float32:
            nonlocal seen
            first = cell[0].shape[2]
            fresh = self.heads(f"{block}.key", y, first), self.heads(f"{block}.value", y)
            seen = tuple(np.concatenate(pair, axis=2) for pair in zip(cell, fresh, strict=True))
            keys, values = seen
            return self.attend(block, y, keys, values, mask, first)

        return self.residual(block, x, branch), seen

    def ssru(self, block: str, x: Float32, cell: Float32) -> tuple[Float32, Cell]:
        """Simpler simple recurrent unit (Kim et al., WNGT 2019, section 3.1.2).

        c_t = f * c_{t-1} + (1 - f) * (x W), f = sigmoid(x W_f + b_f); output ReLU(c_t), residual,
        norm.  Returns the output [batch, length, d] and the last c_t [batch, d].
        """
        last = cell

        def branch(y: Float32) -> Float32:
            nonlocal last
            gate = sigmoid(self.see(f"{block}.gate", self.linear(f"{block}.gate", y)))
            update = (1 - gate) * self.see(f"{block}.cell", self.linear(f"{block}.cell", y))
            states = np.empty_like(y)
            for t in range(y.shape[1]):
                last = gate[:, t] * last + update[:, t]
                states[:, t] = last
            return np.maximum(self.see(f"{block}.state", states), 0)

        return self.residual(block, x, branch), (last,)


def turned(x: Float32, angles: NDArray[np.float64]) -> Float32:
    """Rotary positions (Su et al. 2021, Eq. 34): the columns i and i + pairs of x [..., head_size]
    are turned by `angles` [..., pairs] as a point of the plane is; others stay."""
    pairs = angles.shape[-1]
    cosine, sine = (f(angles).astype(np.float32) for f in (np.cos, np.sin))
    a, b, rest = np.split(x, [pairs, 2 * pairs], axis=-1)
    return np.concatenate([a * cosine - b * sine, a * sine + b * cosine, rest], axis=-1)


def softmax(x: Float32) -> Float32:
    """exp(x - max) / sum over the last axis; -inf weighs nothing."""
    weights: Float32 = np.exp(x - x.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


@quietly
def encode(model: FloatModel, sources: Sequence[Ids], observe: Observer | None = None) -> Memory:
    """Encodes a batch of id lists, each of them in its frame (else ValueError).

    A decoder alone has empty sources, and remembers nothing of them.
    """
    architecture = model.architecture
    check_sources(model, sources)
    ids, mask = pad(sources)
    if not architecture.encoder_layers:
        return Memory([], [], mask)
    run = _Pass(model, mask, observe)
    x = run.embed("encoder", "source", ids, 0)
    nothing = (no_keys(architecture, len(sources)),) * 2
    for layer in range(architecture.encoder_layers):
        x, _ = run.self_attention(f"encoder.{layer}.self", x, nothing, mask[:, None])
        x = run.feed_forward(f"encoder.{layer}.ffn", x)
    x = run.finish("encoder", x)
    layers = range(architecture.decoder_layers)
    return Memory(
        keys=[run.heads(f"decoder.{layer}.cross.key", x) for layer in layers],
        values=[run.heads(f"decoder.{layer}.cross.value", x) for layer in layers],
        mask=mask,
    )


def no_keys(architecture: Architecture, batch: int) -> Float32:
    """Keys or values of nothing: [batch, heads, 0, head_size]."""
    heads = architecture.heads // architecture.group
    return np.zeros((batch, heads, 0, architecture.head_size), np.float32)


def start_state(model: FloatModel, batch: int) -> DecoderState:
    """Nothing decoded yet: position 0, every cell zero or empty."""
    architecture = model.architecture
    cell: Cell = (np.zeros((batch, architecture.d_model), np.float32),)
    if architecture.decoder_cell == "self_attention":
        cell = (no_keys(architecture, batch),) * 2
    return DecoderState(0, [cell] * architecture.decoder_layers)


@quietly
def decode(
    model: FloatModel,
    memory: Memory,
    state: DecoderState,
    previous: NDArray[np.int64],
    mask: Mask | None = None,
    observe: Observer | None = None,
) -> tuple[Float32, DecoderState]:
    """Feeds `previous` [batch, length] (the tokens before the ones to predict) after `state`.

    Returns what the output layer takes, [batch, length, d_model] (see `logits`), and the state
    after the last position.  One token at a time is a search step; a whole target at once is
    teacher forcing.  `mask` [batch, length] is true at real tokens: default all.
    """
    run = _Pass(model, np.ones(previous.shape, bool) if mask is None else mask, observe)
    x = run.embed("decoder", "target", previous, state.position)
    length = previous.shape[1]
    causal = np.tri(length, state.position + length, state.position, dtype=bool)[None]
    cells: list[Cell] = []
    for layer, cell in enumerate(state.cells):
        block = f"decoder.{layer}"
        if model.architecture.decoder_cell == "ssru":
            x, cell = run.ssru(f"{block}.ssru", x, *cell)
        else:
            x, cell = run.self_attention(f"{block}.self", x, cell, causal)
        cells.append(cell)
        if memory.keys:
            keys, values = memory.keys[layer], memory.values[layer]
            x = run.attention(f"{block}.cross", x, keys, values, memory.mask)
        x = run.feed_forward(f"{block}.ffn", x)
    return run.finish("decoder", x), DecoderState(state.position + length, cells)


@quietly
def logits(model: FloatModel, x: Float32) -> Float32:
    """The output layer: [..., d_model] to [..., vocabulary]."""
    run = _Pass(model, np.ones(x.shape[:-1], bool), None)
    return run.see("output", run.linear("output", x))


def teach(
    model: FloatModel,
    sources: Sequence[Ids],
    targets: Sequence[Ids],
    observe: Observer | None = None,
) -> tuple[Float32, Mask]:
    """Teacher forcing of one batch: what the output layer takes, and a mask of the real tokens.

    Targets are without `eos`, as `greedy` returns them; the last row predicts the `eos`.
    Observed rows come sentence by sentence, position by position.
    """
    if len(sources) != len(targets):
        raise ValueError(f"{len(sources)} sources, but {len(targets)} targets")
    check_ids("target", targets, model.architecture.target_vocabulary)
    previous, mask = pad([[model.architecture.start, *target] for target in targets])
    memory = encode(model, sources, observe)
    x, _ = decode(model, memory, start_state(model, len(sources)), previous, mask, observe)
    return x, mask


def forced(model: FloatModel, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[Float32]:
    """Teacher-forced logits of one batch: [len(target) + 1, vocabulary] a sentence; see `teach`.

    They take 4 * batch * longest target * vocabulary bytes: keep batches small.
    """
    x, mask = teach(model, sources, targets)
    found = logits(model, x)
    return [found[i, real] for i, real in enumerate(mask)]
