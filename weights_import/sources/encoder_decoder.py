"""A Transformer with encoder and decoder (Vaswani et al. 2017), as most readers compose it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from weights_import.arithmetic.activations import Activation
from weights_import.composer import Composer
from weights_import.errors import CheckpointError
from weights_import.operations.addend import Addend
from weights_import.operations.attention_scores import Polynomial, Softmax
from weights_import.operations.heads import Heads

Residual = Callable[[str, str, Callable[[str], str]], str]


@dataclass(frozen=True)
class Shape:
    """The sizes of a Transformer, and its variations.

    encoder_layers    0 for a decoder alone
    pre_norm          a norm before each sublayer and behind the last one; else behind each
    recurrent         the decoder has SSRU instead of self-attention
    embedding_norm    a norm of the embeddings
    max_positions     rows of the tables of positions; 0 for sinusoids
    target_positions  the target has its own table of positions
    degree            the degree of polynomial attention; 0 for a softmax
    head_size         the columns of a head; 0 for d_model / heads
    gated             whether an activated gate multiplies the hidden layer
    addends           the addend of each self-attention, by the name of the sublayer; with addends,
                      embeddings have no positions
    """

    d_model: int
    heads: int
    d_ffn: int
    encoder_layers: int
    decoder_layers: int
    activation: Activation
    source_vocabulary: int
    target_vocabulary: int
    embedding_scale: float = 1.0
    pre_norm: bool = False
    recurrent: bool = False
    embedding_norm: bool = False
    max_positions: int = 0
    target_positions: bool = False
    degree: int = 0
    head_size: int = 0
    gated: bool = False
    addends: Mapping[str, Addend] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = ("d_model", "heads", "d_ffn", "decoder_layers")
        problems = [
            f"{name}={getattr(self, name)} is not positive"
            for name in sizes
            if getattr(self, name) < 1
        ]
        if self.heads > 0 and not self.head_size and self.d_model % self.heads:
            problems.append(f"d_model={self.d_model} is not divisible by heads={self.heads}")
        if problems:
            raise CheckpointError("unsupported architecture: " + "; ".join(problems))


def compose(c: Composer, shape: Shape) -> str:
    """The operations of the model; the name of its logits."""
    return _Transformer(c, shape).compose()


class _Transformer:
    def __init__(self, c: Composer, shape: Shape) -> None:
        self.c, self.shape = c, shape
        size = shape.head_size or shape.d_model // shape.heads
        self.heads = Heads(shape.heads, size, shape.heads)
        self.residual: Residual = c.pre_norm if shape.pre_norm else c.post_norm

    def compose(self) -> str:
        c, shape = self.c, self.shape
        memory: list[tuple[str, str]] = []
        if shape.encoder_layers:
            c.encode()
            x = self.embedded("encoder", "source", shape.source_vocabulary)
            for i in range(shape.encoder_layers):
                x = self.self_attention(f"encoder.{i}.self", x)
                x = self.feed_forward(f"encoder.{i}.ffn", x)
            x = self.finished("encoder", x)
            layers = range(shape.decoder_layers)
            memory = [c.memory(f"decoder.{i}.cross", x, self.heads) for i in layers]
        c.decode()
        x = self.embedded("decoder", "target", shape.target_vocabulary)
        for i in range(shape.decoder_layers):
            x = self.decoder_layer(f"decoder.{i}", x, memory[i] if memory else None)
        return c.logits(self.finished("decoder", x), shape.target_vocabulary)

    def decoder_layer(self, at: str, x: str, memory: tuple[str, str] | None) -> str:
        c = self.c
        if self.shape.recurrent:
            x = self.residual(f"{at}.ssru", x, lambda y: c.ssru(f"{at}.ssru", y))
        else:
            x = self.self_attention(f"{at}.self", x)
        if memory is not None:
            cross = f"{at}.cross"
            x = self.residual(
                cross,
                x,
                lambda y: c.cross_attention(cross, y, memory, self.heads, self.scores(cross)),
            )
        return self.feed_forward(f"{at}.ffn", x)

    def self_attention(self, at: str, x: str) -> str:
        return self.residual(
            at, x, lambda y: self.c.self_attention(at, y, self.heads, self.scores(at))
        )

    def feed_forward(self, at: str, x: str) -> str:
        width, function = self.shape.d_ffn, self.shape.activation
        hidden = self.c.gated_feed_forward if self.shape.gated else self.c.feed_forward
        return self.residual(at, x, lambda y: hidden(at, y, width, function))

    def scores(self, at: str) -> Softmax | Polynomial:
        if not self.shape.degree:
            return Softmax(self.shape.addends.get(at))
        return Polynomial(self.shape.degree, f"{at}.score_bias", f"{at}.delta")

    def embedded(self, stack: str, side: str, vocabulary: int) -> str:
        c, shape = self.c, self.shape
        positions = "" if shape.addends else self.positions(side)
        out = f"{stack}.embedding"
        x = c.embedding(out, f"{side}_embedding", vocabulary, shape.embedding_scale, positions)
        return c.norm(f"{out}_norm", x) if shape.embedding_norm else x

    def positions(self, side: str) -> str:
        if not self.shape.max_positions:
            return self.c.sinusoids()
        name = (
            "target_positions" if side == "target" and self.shape.target_positions else "positions"
        )
        return self.c.tensor(name, self.shape.max_positions, self.shape.d_model)

    def finished(self, stack: str, x: str) -> str:
        return self.c.norm(f"{stack}.norm", x) if self.shape.pre_norm else x
