"""GPT-2 models of Hugging Face's transformers (Radford et al. 2019): a safetensors and
`config.json`.

Positions are learned.  A norm stands before each sublayer, and one more behind the last.  The file
stores a matrix as [in, out], which is the reverse of most files.  Queries, keys and values have one
matrix.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from weights_import.arithmetic.activations import Activation
from weights_import.composer import Composer, Normed
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.operations.heads import Heads
from weights_import.sources.hugging_face import HEAD, Layers, unused
from weights_import.sources.hugging_face_config import Id, Ids, model_type, read_config
from weights_import.sources.hugging_face_decoder import (
    Decoder,
    decoder_model,
    size_of_heads,
    words,
)
from weights_import.sources.hugging_face_decoder import companions as companions
from weights_import.sources.lookup import Lookup, Own
from weights_import.sources.safetensors_file import Contents, Size, contents
from weights_import.tensors import Stored

FORMAT = "Hugging Face GPT-2 (.safetensors and config.json)"
KINDS = ("gpt2",)
LAYER = "h.0.attn.c_attn.weight"
"""A tensor that every such checkpoint has."""
BODY = "transformer."
"""What stands before the names of a model with a head."""
EMBEDDING, POSITIONS, LAST_NORM = "wte.weight", "wpe.weight", "ln_f"
MASKS = re.compile(r"(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)")
"""Constants of the attention that older versions of transformers store."""
END = 50256
"""The token that begins and ends a text, unless the configuration says otherwise."""

ACTIVATIONS: dict[str, Activation] = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
}
FUSED = ("query", "key", "value")
PARTS = {
    "self.norm": "ln_1",
    **dict.fromkeys((f"self.{part}" for part in FUSED), "attn.c_attn"),
    "self.output": "attn.c_proj",
    "ffn.norm": "ln_2",
    "ffn.inner": "mlp.c_fc",
    "ffn.outer": "mlp.c_proj",
}
LEAVES = {"weight": "weight", "gain": "weight", "bias": "bias"}


class _Config(Decoder, frozen=True, kw_only=True):
    """The fields of a configuration; other keys do not change what a model computes.

    The defaults are the defaults of transformers.
    """

    model_type: Literal["gpt2"]
    activation_function: Literal["gelu_new", "gelu_pytorch_tanh", "gelu", "relu"] = "gelu_new"
    add_cross_attention: Literal[False] = False
    bos_token_id: Id = END
    eos_token_id: Id | Ids = END
    layer_norm_epsilon: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1e-5
    n_embd: Size
    n_head: Size
    n_inner: Size | None = None
    n_layer: Layers
    n_positions: Size
    scale_attn_by_inverse_layer_idx: Literal[False] = False
    scale_attn_weights: Literal[True] = True
    tie_word_embeddings: bool = True

    @property
    def title(self) -> str:
        return "GPT-2"

    @property
    def width(self) -> int:
        return self.n_embd

    @property
    def positions(self) -> int:
        return self.n_positions

    @property
    def heads(self) -> Heads:
        """The heads; raises CheckpointError where they do not make up the width."""
        return Heads(self.n_head, size_of_heads(self.n_embd, self.n_head), self.n_head)

    @property
    def inner(self) -> int:
        """The columns of the hidden layer."""
        return self.n_inner or 4 * self.n_embd


def recognises(path: Path) -> bool:
    """Whether the file is a safetensors of this kind, with its configuration beside it."""
    return model_type(path, LAYER) in KINDS


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    try:
        return _read(path, read_config(path, _Config), contents(path))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _read(path: Path, config: _Config, content: Contents) -> FloatModel:
    stored, width = content.tensors, config.width
    body = BODY if any(name.startswith(BODY) for name in stored) else ""
    found = Lookup(stored, partial(stored_name, body), words(config, stored, body + EMBEDDING))
    norm = Normed("l2", config.layer_norm_epsilon)
    c = Composer(lambda name: as_product(name, found(name), width), width, norm)
    logits = compose(c, config)
    masks = [name for name in stored if MASKS.fullmatch(name)]
    made = c.finish(logits, unused(found, {body + EMBEDDING, HEAD, *masks}))
    return decoder_model(path, content.sha256, config, made)


def compose(c: Composer, config: _Config) -> str:
    """The operations of the model; the name of its logits."""
    c.decode()
    positions = c.tensor("positions", config.positions, config.width)
    size = config.vocab_size
    x = c.embedding("decoder.embedding", "target_embedding", size, positions=positions)
    for i in range(config.n_layer):
        x = layer(c, f"decoder.{i}", x, config)
    return c.logits(c.norm("decoder.norm", x), size)


def layer(c: Composer, at: str, x: str, config: _Config) -> str:
    """One layer: attention, and a hidden layer."""
    heads, inner = config.heads, config.inner
    function = ACTIVATIONS[config.activation_function]
    x = c.pre_norm(f"{at}.self", x, lambda y: c.self_attention(f"{at}.self", y, heads))
    return c.pre_norm(f"{at}.ffn", x, lambda y: c.feed_forward(f"{at}.ffn", y, inner, function))


def stored_name(body: str, canonical: str) -> str:
    """The name in the file of a tensor other than the matrices of words, which have their own
    rules; `body` stands before it."""
    if canonical == "positions":
        return body + POSITIONS
    part, _, leaf = canonical.removeprefix("decoder.").rpartition(".")
    if part == "norm":
        return f"{body}{LAST_NORM}.{LEAVES[leaf]}"
    at, _, block = part.partition(".")
    return f"{body}h.{at}.{PARTS[block]}.{LEAVES[leaf]}"


def as_product(canonical: str, tensor: Own, width: int) -> Own:
    """A tensor of the file in the form in which a product reads it: a matrix [out, in], and
    queries, keys and values apart."""
    if not canonical.startswith("decoder.") or not isinstance(tensor, Stored):
        return tensor
    part, leaf = canonical.split(".")[-2:]
    if part in FUSED:
        tensor = third(tensor, width, FUSED.index(part))
    if leaf == "weight":
        tensor = tensor.changed(tensor.shape[::-1], lambda x: np.ascontiguousarray(x.T))
    return tensor


def third(tensor: Stored, columns: int, at: int) -> Stored:
    """The first, second or last columns of a tensor that has three times as many; raises
    CheckpointError for another one."""
    if tensor.shape[-1:] != (3 * columns,):
        raise CheckpointError(
            f"{tensor.name}: not {columns} columns each for queries, keys and values"
        )
    return tensor.changed(
        (*tensor.shape[:-1], columns), lambda x: x[..., at * columns : (at + 1) * columns]
    )
