"""What encoders alone share: normed embeddings, layers with norms behind their sublayers, a row for
each sentence.

The row is an embedding, or the logits of labels.  An embedding is the pooled row, normalised to the
length 1.  Logits are two products of the pooled row, with an activation between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from weights_import.arithmetic.activations import Activation
from weights_import.composer import Composer
from weights_import.operations.addend import Addend
from weights_import.operations.attention_scores import Softmax
from weights_import.operations.heads import Heads
from weights_import.operations.pool import Pooling

NORMALIZED, LOGITS = "embedding.normalized", "output"


@dataclass(frozen=True)
class Dense:
    """A product of the pooled row, and its activation; None for the identity."""

    width: int
    activation: Activation | None


@dataclass(frozen=True)
class Shape:
    """The sizes and the form of an encoder alone.

    embedding_width  the width of the embedded tokens, which a matrix widens if it is not `d_model`
    positions        rows of the table of positions
    pooling          the rows of a sentence that make its row
    addends          the addend of each attention, by the name of the sublayer
    dense            products of the pooled row, in their order
    labels           the number of labels; 0 for an embedding
    """

    d_model: int
    d_ffn: int
    layers: int
    heads: int
    vocabulary: int
    positions: int
    activation: Activation
    embedding_width: int
    pooling: Pooling
    addends: Mapping[str, Addend] = field(default_factory=dict)
    dense: tuple[Dense, ...] = ()
    labels: int = 0


def compose(c: Composer, shape: Shape) -> tuple[str, str]:
    """The operations of the model; the names of its logits, or nothing, and of its output."""
    c.encode()
    x = _embedded(c, shape)
    heads = Heads(shape.heads, shape.d_model // shape.heads, shape.heads)
    for i in range(shape.layers):
        first, second = f"encoder.{i}.self", f"encoder.{i}.ffn"
        scores = Softmax(shape.addends.get(first))
        x = c.post_norm(first, x, partial(c.self_attention, first, heads=heads, scores=scores))
        hidden = partial(c.feed_forward, second, width=shape.d_ffn, function=shape.activation)
        x = c.post_norm(second, x, hidden)
    x = c.pool("pooled", x, shape.pooling)
    for i, dense in enumerate(shape.dense):
        x = c.linear(f"dense.{i}", x, dense.width, bias=bool(shape.labels))
        if dense.activation is not None:
            x = c.activation(f"dense.{i}.active", x, dense.activation)
    if not shape.labels:
        return "", c.normalize(NORMALIZED, x)
    logits = c.linear(LOGITS, x, shape.labels)
    return logits, logits


def _embedded(c: Composer, shape: Shape) -> str:
    """The embedded tokens, normed, and as wide as the model."""
    width = shape.embedding_width
    table = c.tensor("positions", shape.positions, width)
    name = "encoder.embedding"
    x = c.embedding(name, "source_embedding", shape.vocabulary, positions=table, width=width)
    x = c.norm(f"{name}_norm", x)
    return x if width == shape.d_model else c.project(f"{name}.projected", x, f"{name}.projection")
