"""The shape of a decoder alone in CTranslate2's files, its operations, and its tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from weights_import.arithmetic.activations import Activation
from weights_import.composer import Composer, Find
from weights_import.errors import CheckpointError
from weights_import.operations.attention_scores import Softmax
from weights_import.operations.heads import Heads
from weights_import.sources import linear_biases
from weights_import.sources.ctranslate2_heads import PARTS, Fused, fused
from weights_import.sources.ctranslate2_numbers import activation, embedding_scale
from weights_import.sources.ctranslate2_tensors import embedding, made_positions
from weights_import.sources.ctranslate2_variables import Variables
from weights_import.sources.decoder_only import Residual
from weights_import.sources.stored_rows import one_more
from weights_import.sources.widened_words import widened, widened_behind
from weights_import.tensors import Stored

DECODER = "decoder"
TABLE = "decoder/position_encodings/encodings"
LEAVES = {"gain": "gamma", "bias": "beta"}
HIDDEN = {"gate": "linear_0", "inner": "linear_0_noact", "outer": "linear_1"}
PLAIN = {"inner": "linear_0", "outer": "linear_1"}
LIMITS = "sliding_window", "max_position_embeddings"
"""Numbers that limit positions.  Attention that slides is attention within its window."""
BLOCKS = {"self": "self_attention", "ffn": "ffn"}
APART = {"self": "input_layer_norm", "ffn": "post_attention_layer_norm"}
"""The norms of sublayers that read one sum."""
FIRST_NORMS = "ffn/layer_norm", "shared_layer_norm", "input_layer_norm"


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
    residual        whether both sublayers of a layer read one sum, and whether they share its norm
    words           the tables of words and of logits by their canonical names
    addends         the addends of scores, linear biases of positions; None without them
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
    residual: Residual
    words: Mapping[str, Stored | None]
    addends: Stored | None


def shape_of(variables: Variables, vocabulary: int) -> Shape:
    """The shape of a model; raises CheckpointError if it is one that is not supported."""
    tables = words_of(variables)
    words = tables["target_embedding"]
    hidden = variables.tensor("decoder/layer_0/ffn/linear_0/weight")
    if words is None or len(words.shape) != 2 or words.shape[0] != vocabulary:
        told = "no" if words is None else list(words.shape)
        raise CheckpointError(f"{told} embeddings for a vocabulary of {vocabulary}")
    width, count = words.shape[1], variables.layers(DECODER)
    if not count or hidden is None or not width:
        raise CheckpointError(f"no layers of a decoder, or a width of {width}")
    layers = tuple(fused(variables, i, width) for i in range(count))
    addends = linear_biases_of(variables, layers[0].heads)
    table = position_table(variables, width, bool(layers[0].heads.rotary) or addends is not None)
    return Shape(
        width=width,
        vocabulary=vocabulary,
        hidden=hidden.shape[0],
        function=activation(variables.number("decoder/activation", 0)),
        pre_norm=bool(variables.number("decoder/pre_norm", 1)),
        rms=not any(f"decoder/layer_0/{name}/beta" in variables for name in FIRST_NORMS),
        gated="decoder/layer_0/ffn/linear_0_noact/weight" in variables,
        embedding_norm="decoder/layernorm_embedding/gamma" in variables,
        from_zero=bool(variables.number("decoder/start_from_zero_embedding", 0)),
        scale=embedding_scale(variables, DECODER, width),
        positions=table,
        max_positions=most_positions(variables, table, count),
        layers=layers,
        residual=residual_of(variables),
        words=tables,
        addends=addends,
    )


def words_of(variables: Variables) -> dict[str, Stored | None]:
    """The tables of words and of logits, as wide as the model; raises CheckpointError."""
    found = {
        "target_embedding": embedding(variables, DECODER),
        "output.weight": variables.tensor("decoder/projection/weight"),
    }
    changes = (("project_in", widened), ("project_out", widened_behind))
    for name, (part, change) in zip(found, changes, strict=True):
        matrix, table = variables.tensor(f"decoder/{part}/weight"), found[name]
        if matrix is not None and table is not None:
            found[name] = change(table, matrix)
    return found


def linear_biases_of(variables: Variables, heads: Heads) -> Stored | None:
    """The addends of scores, which some models divide by the root of the size of a head too."""
    if not variables.number("decoder/alibi", 0):
        return None
    divided = variables.number("decoder/scale_alibi", 0)
    return linear_biases.table(heads.count, 1 / math.sqrt(heads.size) if divided else 1.0)


def residual_of(variables: Variables) -> Residual:
    """How the sublayers of a layer follow one another."""
    if "decoder/layer_0/shared_layer_norm/gamma" in variables:
        return "parallel, one norm"
    return "parallel" if "decoder/layer_0/input_layer_norm/gamma" in variables else "in turn"


def position_table(variables: Variables, width: int, within: bool) -> Stored | None:
    """The table of positions: the stored one, or else sinusoids, or none where positions are
    `within` the attention."""
    if within:
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
    for i in range(len(shape.layers)):
        x = _layer(c, shape, i, x)
    return c.logits(c.norm("decoder.norm", x) if shape.pre_norm else x, shape.vocabulary)


def _layer(c: Composer, shape: Shape, i: int, x: str) -> str:
    first, second = f"decoder.{i}.self", f"decoder.{i}.ffn"
    attention, feed_forward = _attention(c, first, shape, i), _feed_forward(c, second, shape)
    if shape.residual == "in turn":
        block = c.pre_norm if shape.pre_norm else c.post_norm
        return block(second, block(first, x, attention), feed_forward)
    y = c.norm(f"{first}.norm", x)
    z = y if shape.residual == "parallel, one norm" else c.norm(f"{second}.norm", x)
    return c.plus(second, c.plus(first, x, attention(y)), feed_forward(z))


def _attention(c: Composer, at: str, shape: Shape, i: int) -> Callable[[str], str]:
    scores = Softmax(None if shape.addends is None else linear_biases.addend())
    return lambda y: c.self_attention(at, y, shape.layers[i].heads, scores)


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
        case ["target_embedding"] | ["output", "weight"]:
            return shape.words[canonical]
        case ["output", leaf]:
            return variables.tensor(f"decoder/projection/{leaf}")
        case ["decoder", "addend"]:
            return shape.addends
        case ["decoder", "norm", leaf]:
            return _norm(variables, "decoder/layer_norm", leaf)
        case ["decoder", "embedding_norm", leaf]:
            return _norm(variables, "decoder/layernorm_embedding", leaf)
        case ["decoder", layer, block, "norm", leaf]:
            return _norm(variables, f"decoder/layer_{layer}/{_place(shape, block)}", leaf)
        case ["decoder", layer, "ffn", part, leaf]:
            named = (HIDDEN if shape.gated else PLAIN)[part]
            return variables.tensor(f"decoder/layer_{layer}/ffn/{named}/{leaf}")
        case ["decoder", layer, "self", part, leaf]:
            at = f"decoder/layer_{layer}/self_attention/linear_"
            if part not in PARTS:
                return variables.tensor(f"{at}1/{leaf}")
            return shape.layers[int(layer)].part(variables.tensor(f"{at}0/{leaf}"), part)
    return None


def _place(shape: Shape, block: str) -> str:
    """Where a layer has the norm of a sublayer."""
    if shape.residual == "in turn":
        return f"{BLOCKS[block]}/layer_norm"
    return "shared_layer_norm" if shape.residual == "parallel, one norm" else APART[block]


def _norm(variables: Variables, at: str, leaf: str) -> Stored | None:
    """Gain or bias of a norm; some files have the gain less 1."""
    stored = variables.tensor(f"{at}/{LEAVES[leaf]}")
    less = leaf == "gain" and variables.number(f"{at}/layer_norm_use_residual", 0)
    return one_more(stored) if stored is not None and less else stored
