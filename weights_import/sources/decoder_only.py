"""What decoders alone share: an embedding, layers with norms, and logits.

A layer is attention and a hidden layer.  Mostly the hidden layer reads the sum that the attention
has changed.  In some models both read the same sum, and both results are added to it (Wang and
Komatsuzaki 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from weights_import.arithmetic.activations import Activation
from weights_import.composer import Composer
from weights_import.operations.addend import Addend
from weights_import.operations.attention_scores import Softmax
from weights_import.operations.heads import Heads

Residual = Literal["in turn", "parallel", "parallel, one norm"]
Norms = Literal["before", "behind", "both", "after"]


@dataclass(frozen=True)
class Shape:
    """The sizes and the form of such a model.

    gated            whether an activated gate multiplies the hidden layer
    residual         whether both sublayers of a layer read one sum, and whether they share its norm
    embedding_scale  the factor of the rows of the embedding
    positions        the rows of the table of learned positions; 0 without a table
    embedding_norm   a norm of the embeddings
    addend           the addend of the scores of every attention
    own_heads        the heads of the layers whose heads are not `heads`
    norms            whether the norms of a layer read the stream before its sublayers, the results
                     of the sublayers, both, or the stream after them, which then has no last norm;
                     for sublayers in turn
    score_cap        the soft cap of the scores of attention; 0 without a cap
    logit_cap        the soft cap of the logits; 0 without a cap
    """

    d_model: int
    d_ffn: int
    layers: int
    vocabulary: int
    heads: Heads
    activation: Activation = "swish"
    gated: bool = True
    residual: Residual = "in turn"
    embedding_scale: float = 1.0
    positions: int = 0
    embedding_norm: bool = False
    addend: Addend | None = None
    own_heads: Mapping[int, Heads] = field(default_factory=dict)
    norms: Norms = "before"
    score_cap: float = 0.0
    logit_cap: float = 0.0

    def heads_of(self, layer: int) -> Heads:
        """The heads of one layer."""
        return self.own_heads.get(layer, self.heads)


def compose(c: Composer, shape: Shape) -> str:
    """The operations of the model; the name of its logits."""
    c.decode()
    positions = c.tensor("positions", shape.positions, shape.d_model) if shape.positions else ""
    x = c.embedding(
        "decoder.embedding", "target_embedding", shape.vocabulary, shape.embedding_scale, positions
    )
    if shape.embedding_norm:
        x = c.norm("decoder.embedding_norm", x)
    for i in range(shape.layers):
        x = _layer(c, shape, i, x)
    normed = x if shape.norms == "after" else c.norm("decoder.norm", x)
    return c.logits(normed, shape.vocabulary, shape.logit_cap)


def _layer(c: Composer, shape: Shape, i: int, x: str) -> str:
    first, second = f"decoder.{i}.self", f"decoder.{i}.ffn"
    scores = Softmax(shape.addend, shape.score_cap)
    attention = partial(c.self_attention, first, heads=shape.heads_of(i), scores=scores)
    hidden = c.gated_feed_forward if shape.gated else c.feed_forward
    feed_forward = partial(hidden, second, width=shape.d_ffn, function=shape.activation)
    if shape.residual == "in turn":
        blocks = {
            "before": c.pre_norm,
            "behind": c.branch_norm,
            "both": c.both_norms,
            "after": c.post_norm,
        }
        block = blocks[shape.norms]
        return block(second, block(first, x, attention), feed_forward)
    y = c.norm(f"{first}.norm", x)
    z = y if shape.residual == "parallel, one norm" else c.norm(f"{second}.norm", x)
    return c.plus(second, c.plus(first, x, attention(y)), feed_forward(z))
