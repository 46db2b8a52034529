"""The shape of a decoder alone in CTranslate2's files, its operations, and its tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from weights_import.arithmetic.activations import Activation
from weights_import.composer import Composer, Find
from weights_import.errors import CheckpointError
from weights_import.sources.ctranslate2_heads import PARTS, Fused, fused
from weights_import.sources.ctranslate2_numbers import activation, embedding_scale
from weights_import.sources.ctranslate2_tensors import embedding, made_positions
from weights_import.sources.ctranslate2_variables import Variables
from weights_import.sources.stored_rows import one_more
from weights_import.tensors import Stored

DECODER = "decoder"
TABLE = "decoder/position_encodings/encodings"
LEAVES = {"gain": "gamma", "bias": "beta"}
HIDDEN = {"gate": "linear_0", "inner": "linear_0_noact", "outer": "linear_1"}
PLAIN = {"inner": "linear_0", "outer": "linear_1"}
LIMITS = "sliding_window", "max_position_embeddings"
"""Numbers that limit positions.  Attention that slides is attention within its window."""
BLOCKS = {"self": "self_attention", "ffn": "ffn"}


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder alone, and its variations.

    pre_norm        a norm before each sublayer and behind the last one; else behind each
    rms             norms by the root of the mean square, without a bias
    gated           a gate in the hidden layer
    embedding_norm  a norm of the embeddings
    from_zero       the first token is the zero vector
    scale           embeddings are multiplied by it
    positions       a table of positions; None for rotary positions
    max_positions   the number of positions; 0 where nothing limits it
    layers          the heads of each layer
    """

    width: int
    vocabulary: int
    hidden: int
    function: Activation
    pre_norm: bool
    rms: bool
    gated: bool
    embedding_norm: bool
    from_zero: bool
    scale: float
    positions: Stored | None
    max_positions: int
    layers: tuple[Fused, ...]


def shape_of(variables: Variables, vocabulary: int) -> Shape:
    """The shape of a model; raises CheckpointError if it is one that is not supported."""
    words = embedding(variables, DECODER)
    hidden = variables.tensor("decoder/layer_0/ffn/linear_0/weight")
    if words is None or len(words.shape) != 2 or words.shape[0] != vocabulary:
        told = "no" if words is None else list(words.shape)
        raise CheckpointError(f"{told} embeddings for a vocabulary of {vocabulary}")
    width, count = words.shape[1], variables.layers(DECODER)
    if not count or hidden is None or not width:
        raise CheckpointError(f"no layers of a decoder, or a width of {width}")
    layers = tuple(fused(variables, i, width) for i in range(count))
    table = position_table(variables, width, bool(layers[0].heads.rotary))
    return Shape(
        width=width,
        vocabulary=vocabulary,
        hidden=hidden.shape[0],
        function=activation(variables.number("decoder/activation", 0)),
        pre_norm=bool(variables.number("decoder/pre_norm", 1)),
        rms="decoder/layer_0/ffn/layer_norm/beta" not in variables,
        gated="decoder/layer_0/ffn/linear_0_noact/weight" in variables,
        embedding_norm="decoder/layernorm_embedding/gamma" in variables,
        from_zero=bool(variables.number("decoder/start_from_zero_embedding", 0)),
        scale=embedding_scale(variables, DECODER, width),
        positions=table,
        max_positions=most_positions(variables, table, count),
        layers=layers,
    )


def position_table(variables: Variables, width: int, rotary: bool) -> Stored | None:
    """The table of positions: the stored one, or else sinusoids, or none for rotary positions."""
    if rotary:
        return None
    stored = variables.tensor(TABLE)
    return made_positions(width) if stored is None else stored


def most_positions(variables: Variables, table: Stored | None, layers: int) -> int:
    """The least of the rows of the table and of the numbers in `LIMITS`; 0 without any of them."""
    scopes = [DECODER, *(f"{DECODER}/layer_{i}/self_attention" for i in range(layers))]
    told = [variables.whole(f"{s}/{name}", 0, least=0) for s in scopes for name in LIMITS]
    limits = [limit for limit in told if limit]
    return min(limits if table is None else [*limits, table.shape[0]], default=0)


def compose(c: Composer, shape: Shape) -> str:
    """The operations of the model; the name of its logits."""
    c.decode()
    table = shape.positions
    positions = "" if table is None else c.tensor("positions", table.shape[0], shape.width)
    x = c.embedding(
        "decoder.embedding", "target_embedding", shape.vocabulary, shape.scale, positions
    )
    if shape.embedding_norm:
        x = c.norm("decoder.embedding_norm", x)
    residual = c.pre_norm if shape.pre_norm else c.post_norm
    for i, layer in enumerate(shape.layers):
        x = residual(f"decoder.{i}.self", x, _attention(c, f"decoder.{i}.self", layer))
        x = residual(f"decoder.{i}.ffn", x, _feed_forward(c, f"decoder.{i}.ffn", shape))
    return c.logits(c.norm("decoder.norm", x) if shape.pre_norm else x, shape.vocabulary)


def _attention(c: Composer, at: str, layer: Fused) -> Callable[[str], str]:
    return lambda y: c.self_attention(at, y, layer.heads)


def _feed_forward(c: Composer, at: str, shape: Shape) -> Callable[[str], str]:
    made = c.gated_feed_forward if shape.gated else c.feed_forward
    return lambda y: made(at, y, shape.hidden, shape.function)


def finder(variables: Variables, shape: Shape) -> Find:
    """What finds a tensor by its canonical name."""
    return partial(_find, variables, shape)


def _find(variables: Variables, shape: Shape, canonical: str) -> Stored | None:
    match canonical.split("."):
        case ["positions"]:
            return shape.positions
        case ["target_embedding"]:
            return embedding(variables, DECODER)
        case ["output", leaf]:
            return variables.tensor(f"decoder/projection/{leaf}")
        case ["decoder", "norm", leaf]:
            return _norm(variables, "decoder/layer_norm", leaf)
        case ["decoder", "embedding_norm", leaf]:
            return _norm(variables, "decoder/layernorm_embedding", leaf)
        case ["decoder", layer, block, "norm", leaf]:
            return _norm(variables, f"decoder/layer_{layer}/{BLOCKS[block]}/layer_norm", leaf)
        case ["decoder", layer, "ffn", part, leaf]:
            named = (HIDDEN if shape.gated else PLAIN)[part]
            return variables.tensor(f"decoder/layer_{layer}/ffn/{named}/{leaf}")
        case ["decoder", layer, "self", part, leaf]:
            at = f"decoder/layer_{layer}/self_attention/linear_"
            if part not in PARTS:
                return variables.tensor(f"{at}1/{leaf}")
            return shape.layers[int(layer)].part(variables.tensor(f"{at}0/{leaf}"), part)
    return None


def _norm(variables: Variables, at: str, leaf: str) -> Stored | None:
    """Gain or bias of a norm; some files have the gain less 1."""
    stored = variables.tensor(f"{at}/{LEAVES[leaf]}")
    less = leaf == "gain" and variables.number(f"{at}/layer_norm_use_residual", 0)
    return one_more(stored) if stored is not None and less else stored
