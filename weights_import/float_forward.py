"""The forward pass of a FloatModel in NumPy float32: encoder, decoder, teacher forcing.

Token ids of a source end with `eos`.  Sentences of a batch are padded to its longest one; the
padding is masked in every attention and never observed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weights_import.float_model import Float32, FloatModel

Ids = Sequence[int]
Observer = Callable[[str, Float32], None]
Mask = NDArray[np.bool_]

ZERO_VECTOR = -1


@dataclass
class Memory:
    """What the decoder sees of the encoder: cross keys and values of every decoder layer.

    keys, values: one [batch, heads, source, head_size] a layer;  mask: [batch, source].
    """

    keys: list[Float32]
    values: list[Float32]
    mask: Mask

    def select(self, rows: NDArray[np.intp]) -> Memory:
        return Memory([k[rows] for k in self.keys], [v[rows] for v in self.values], self.mask[rows])


@dataclass
class DecoderState:
    """The number of tokens decoded so far, and the SSRU cell [batch, d] of every layer."""

    position: int
    cells: list[Float32]

    def select(self, rows: NDArray[np.intp]) -> DecoderState:
        return DecoderState(self.position, [cell[rows] for cell in self.cells])


@dataclass(frozen=True)
class _Pass:
    """One batch on its way through one stack; `mask` [batch, length] is true at real tokens."""

    model: FloatModel
    mask: Mask
    observe: Observer | None

    def see(self, name: str, x: Float32) -> Float32:
        if self.observe is not None:
            self.observe(name, x[self.mask])
        return x

    def linear(self, name: str, x: Float32) -> Float32:
        """y = x W^T + b for a W of [out, in]; b may be absent."""
        weight = self.model.tensors[f"{name}.weight"]
        bias = self.model.tensors.get(f"{name}.bias")
        y = x.reshape(-1, x.shape[-1]) @ weight.T
        if bias is not None:
            y += bias
        return y.reshape(*x.shape[:-1], -1)

    def embed(self, stack: str, table: str, ids: NDArray[np.int64], position: int) -> Float32:
        """E[id] * embedding_scale + positions; the id -1 embeds as the zero vector."""
        rows = self.model.tensors[table][ids] * np.float32(self.model.architecture.embedding_scale)
        rows[ids == ZERO_VECTOR] = 0
        positions = self.model.position_table(position + ids.shape[1])[position:]
        return self.see(f"{stack}.embedding", rows + positions)

    def add_norm(self, block: str, x: Float32, y: Float32) -> Float32:
        """Layer norm of the residual sum: (s - mean) / sqrt(variance + epsilon) * gain + bias."""
        total = self.see(f"{block}.sum", x + y)
        centred = total - total.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        centred /= np.sqrt(variance + np.float32(self.model.architecture.norm_epsilon))
        tensors = self.model.tensors
        return self.see(
            f"{block}.norm",
            centred * tensors[f"{block}.norm.gain"] + tensors[f"{block}.norm.bias"],
        )

    def feed_forward(self, block: str, x: Float32) -> Float32:
        inner = self.linear(f"{block}.inner", x)
        self.see(f"{block}.inner", np.maximum(inner, 0, out=inner))
        return self.add_norm(block, x, self.linear(f"{block}.outer", inner))

    def heads(self, name: str, x: Float32) -> Float32:
        """A projection, observed, split to [batch, heads, length, head_size]."""
        y = self.see(name, self.linear(name, x))
        split = y.reshape(*y.shape[:2], self.model.architecture.heads, -1)
        return np.ascontiguousarray(split.transpose(0, 2, 1, 3))

    def attention(
        self, block: str, x: Float32, keys: Float32, values: Float32, mask: Mask
    ) -> Float32:
        """softmax(Q K^T / sqrt(head_size)) V, output projection, residual, norm."""
        queries = self.heads(f"{block}.query", x)
        scores = queries @ keys.swapaxes(-1, -2)
        scores *= np.float32(self.model.architecture.head_size**-0.5)
        scores += np.where(mask, np.float32(0), np.float32(-np.inf))[:, None, None, :]
        context = softmax(scores) @ values
        joined = context.transpose(0, 2, 1, 3).reshape(x.shape)
        return self.add_norm(
            block, x, self.linear(f"{block}.output", self.see(f"{block}.context", joined))
        )

    def ssru(self, block: str, x: Float32, cell: Float32) -> tuple[Float32, Float32]:
        """Simpler simple recurrent unit (Kim et al., WNGT 2019, section 3.1.2).

        c_t = f * c_{t-1} + (1 - f) * (x W), f = sigmoid(x W_f + b_f); output ReLU(c_t), residual,
        norm.  Returns the output [batch, length, d] and the last c_t [batch, d].
        """
        gate = sigmoid(self.see(f"{block}.gate", self.linear(f"{block}.gate", x)))
        update = (1 - gate) * self.see(f"{block}.cell", self.linear(f"{block}.cell", x))
        states = np.empty_like(x)
        for t in range(x.shape[1]):
            cell = gate[:, t] * cell + update[:, t]
            states[:, t] = cell
        self.see(f"{block}.state", states)
        return self.add_norm(block, x, np.maximum(states, 0)), cell


def softmax(x: Float32) -> Float32:
    """exp(x - max) / sum over the last axis; -inf weighs nothing."""
    weights: Float32 = np.exp(x - x.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def sigmoid(x: Float32) -> Float32:
    """1 / (1 + exp(-x)), written as a tanh because that cannot overflow."""
    y: Float32 = np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))
    return y


def pad(sequences: Sequence[Ids]) -> tuple[NDArray[np.int64], Mask]:
    """Ids [batch, longest] filled up with 0, and the mask of the real ones."""
    lengths = np.array([len(sequence) for sequence in sequences])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.zeros(mask.shape, np.int64)
    ids[mask] = np.concatenate([np.asarray(s, np.int64) for s in sequences])
    return ids, mask


def check_sources(model: FloatModel, sources: Sequence[Ids]) -> None:
    """Raises ValueError on an id outside the vocabulary, or a source that does not end with eos."""
    architecture = model.architecture
    check_ids("source", sources, architecture.source_vocabulary)
    for i, source in enumerate(sources):
        if not source or source[-1] != architecture.eos:
            raise ValueError(f"source {i} does not end with eos ({architecture.eos})")


def check_ids(what: str, sequences: Sequence[Ids], vocabulary: int) -> None:
    """Raises ValueError on an id outside the vocabulary."""
    for i, sequence in enumerate(sequences):
        if not all(0 <= token < vocabulary for token in sequence):
            raise ValueError(f"{what} {i}: a token id is outside 0..{vocabulary - 1}")


def encode(model: FloatModel, sources: Sequence[Ids], observe: Observer | None = None) -> Memory:
    """Encodes a batch of id lists, each of which ends with `eos` (else ValueError)."""
    architecture = model.architecture
    check_sources(model, sources)
    ids, mask = pad(sources)
    run = _Pass(model, mask, observe)
    x = run.embed("encoder", "source_embedding", ids, 0)
    for layer in range(architecture.encoder_layers):
        block = f"encoder.{layer}.self"
        x = run.attention(
            block, x, run.heads(f"{block}.key", x), run.heads(f"{block}.value", x), mask
        )
        x = run.feed_forward(f"encoder.{layer}.ffn", x)
    layers = range(architecture.decoder_layers)
    return Memory(
        keys=[run.heads(f"decoder.{layer}.cross.key", x) for layer in layers],
        values=[run.heads(f"decoder.{layer}.cross.value", x) for layer in layers],
        mask=mask,
    )


def start_state(model: FloatModel, batch: int) -> DecoderState:
    """Nothing decoded yet: position 0, every cell zero."""
    architecture = model.architecture
    cell = np.zeros((batch, architecture.d_model), np.float32)
    return DecoderState(0, [cell] * architecture.decoder_layers)


def decode(
    model: FloatModel,
    memory: Memory,
    state: DecoderState,
    previous: NDArray[np.int64],
    mask: Mask | None = None,
    observe: Observer | None = None,
) -> tuple[Float32, DecoderState]:
    """Feeds `previous` [batch, length] (the tokens before the ones to predict) after `state`.

    Returns the logits [batch, length, vocabulary] and the state after the last position.
    One token at a time is a search step; a whole target at once is teacher forcing.
    `mask` [batch, length] is true at real tokens: default all.
    """
    run = _Pass(model, np.ones(previous.shape, bool) if mask is None else mask, observe)
    x = run.embed("decoder", "target_embedding", previous, state.position)
    cells = []
    for layer in range(model.architecture.decoder_layers):
        x, cell = run.ssru(f"decoder.{layer}.ssru", x, state.cells[layer])
        cells.append(cell)
        x = run.attention(
            f"decoder.{layer}.cross", x, memory.keys[layer], memory.values[layer], memory.mask
        )
        x = run.feed_forward(f"decoder.{layer}.ffn", x)
    logits = run.see("decoder.logits", run.linear("output", x))
    return logits, DecoderState(state.position + previous.shape[1], cells)


def forced(
    model: FloatModel,
    sources: Sequence[Ids],
    targets: Sequence[Ids],
    observe: Observer | None = None,
) -> list[Float32]:
    """Teacher-forced logits of one batch: [len(target) + 1, vocabulary] a sentence.

    Targets are without `eos`, as `greedy` returns them; the last row predicts the `eos`.
    Observed rows come sentence by sentence, position by position.
    The logits take 4 * batch * longest target * vocabulary bytes: keep batches small.
    """
    if len(sources) != len(targets):
        raise ValueError(f"{len(sources)} sources, but {len(targets)} targets")
    check_ids("target", targets, model.architecture.target_vocabulary)
    previous, mask = pad([[model.architecture.start, *target] for target in targets])
    memory = encode(model, sources, observe)
    logits, _ = decode(model, memory, start_state(model, len(sources)), previous, mask, observe)
    return [logits[i, real] for i, real in enumerate(mask)]
