"""T5 models of Hugging Face's transformers (Raffel et al. 2020): T5, Flan-T5, mT5, UMT5, ByT5 and
MADLAD-400.

Positions are biases of the scores in buckets of distances, norms are by the root of the mean
square, and no product has a bias.  Scores are not divided by the root of the size of a head, so
queries are multiplied by it.  In the first T5 models, the embedding gives the logits too, and their
input is multiplied by d_model^-0.5; here the gain of the norm before them has this factor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from weights_import.arithmetic.activations import Activation
from weights_import.composer import Composer, Normed
from weights_import.errors import located
from weights_import.float_model import FloatModel, Generation
from weights_import.operations.addend import Addend
from weights_import.sources import encoder_decoder
from weights_import.sources.containers import contents
from weights_import.sources.encoder_decoder import Shape
from weights_import.sources.hugging_face import (
    FOLLOWS,
    HEAD,
    MAX_LENGTH_FACTOR,
    Layers,
    check_words,
    equal,
    one_matrix,
    unused,
)
from weights_import.sources.hugging_face_config import (
    Id,
    Ids,
    Marks,
    beside,
    model_type,
    read_config,
    unknown_to,
)
from weights_import.sources.hugging_face_decoder_config import Epsilon, HeadSize
from weights_import.sources.lookup import Lookup
from weights_import.sources.relative_buckets import Buckets
from weights_import.sources.safetensors_file import Size
from weights_import.sources.stored_rows import scaled
from weights_import.sources.t5_tokenizer import WANTED, tokenizer, tokenizer_files
from weights_import.tensors import Stored

FORMAT = "Hugging Face T5, mT5 or UMT5 (.safetensors or .bin, and config.json)"
TITLES = {"t5": "T5", "mt5": "mT5", "umt5": "UMT5"}
KINDS = tuple(TITLES)
LAYER = "encoder.block.0.layer.0.SelfAttention.q.weight"
"""A tensor that every such checkpoint has."""
TABLES = "shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"
BIASES = "relative_attention_bias"
WITHOUT_USE = re.compile(rf".*\.EncDecAttention\.{BIASES}\.weight")
"""Biases of the attention to the source, which older files have and no model uses."""
STACKS = "encoder", "decoder"
PARTS = {"query": "q", "key": "k", "value": "v", "output": "o"}
HIDDEN = {"inner": "wi_1", "gate": "wi_0", "outer": "wo"}
UNK = 2

Form = Literal["relu", "gelu", "silu", "gated-relu", "gated-gelu", "gated-silu"]
FORMS: dict[Form, tuple[Activation, bool]] = {
    "relu": ("relu", False),
    "gelu": ("gelu", False),
    "silu": ("swish", False),
    "gated-relu": ("relu", True),
    "gated-gelu": ("gelu_tanh", True),
    "gated-silu": ("swish", True),
}
"""The activation of a hidden layer, and whether it has a gate."""


class T5Config(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a configuration, with the defaults of transformers."""

    model_type: Literal["t5", "mt5", "umt5"]
    d_ff: Size
    d_kv: HeadSize
    d_model: Size
    decoder_start_token_id: Id | None = None
    eos_token_id: Id | Ids = 1
    feed_forward_proj: Form | None = None
    forced_bos_token_id: None = None
    is_encoder_decoder: Literal[True] = True
    layer_norm_epsilon: Epsilon = 1e-6
    num_decoder_layers: Layers | None = None
    num_heads: HeadSize
    num_layers: Layers
    pad_token_id: Id = 0
    relative_attention_max_distance: Size = 128
    relative_attention_num_buckets: Size = 32
    scale_decoder_outputs: bool | None = None
    tie_word_embeddings: bool = True
    vocab_size: Size

    @property
    def form(self) -> tuple[Activation, bool]:
        """The activation of a hidden layer, and whether it has a gate."""
        return FORMS[
            self.feed_forward_proj or ("relu" if self.model_type == "t5" else "gated-gelu")
        ]

    @property
    def layers(self) -> tuple[int, int]:
        """The layers of the encoder and of the decoder."""
        return self.num_layers, self.num_decoder_layers or self.num_layers

    @property
    def output_scale(self) -> float:
        """The factor of the input of the logits.

        Configurations before transformers 5 tell it by the tied matrices.  mT5 has no factor.
        """
        told = self.scale_decoder_outputs
        scales = self.tie_word_embeddings if told is None else told
        return 1 / math.sqrt(self.d_model) if scales and self.model_type != "mt5" else 1.0

    @property
    def start(self) -> int:
        """The token at the first position of the decoder."""
        told = self.decoder_start_token_id
        return self.pad_token_id if told is None else told

    def buckets(self, stack: str) -> Buckets:
        """The buckets of relative positions of a stack."""
        count, farthest = self.relative_attention_num_buckets, self.relative_attention_max_distance
        return Buckets(count, farthest, causal=stack == "decoder")

    @property
    def shape(self) -> Shape:
        """The shape of the model; raises CheckpointError."""
        addends: dict[str, Addend] = {}
        for stack, layers in zip(STACKS, self.layers, strict=True):
            buckets = self.buckets(stack)
            buckets.check()
            names = [f"{stack}.{i}.self" for i in range(layers)]
            addends |= {name: buckets.addend(f"{name}.addend") for name in names}
        activation, gated = self.form
        return Shape(
            d_model=self.d_model,
            heads=self.num_heads,
            d_ffn=self.d_ff,
            encoder_layers=self.layers[0],
            decoder_layers=self.layers[1],
            activation=activation,
            source_vocabulary=self.vocab_size,
            target_vocabulary=self.vocab_size,
            pre_norm=True,
            head_size=self.d_kv,
            gated=gated,
            addends=addends,
        )


def recognises(path: Path) -> bool:
    """Whether the file is a checkpoint of this kind, with its configuration beside it."""
    return model_type(path, LAYER) in KINDS


def companions(path: Path) -> list[Path]:
    """Its configurations and its tokenizer."""
    return [*beside(path), *tokenizer_files(path.parent)]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    with located(path):
        config = read_config(path, T5Config)
        shape, content = config.shape, contents(path)
        stored = {n: x for n, x in content.tensors.items() if not FOLLOWS.fullmatch(n)}
        own = words(config, stored)
        found = Lookup(stored, lambda name: stored_name(config, name), own)
        c = Composer(
            lambda name: tensor(config, found, name),
            config.d_model,
            Normed("rms", config.layer_norm_epsilon, bias=False),
            biases=False,
        )
        logits = encoder_decoder.compose(c, shape)
        others = {*TABLES, HEAD, *filter(WITHOUT_USE.fullmatch, stored)}
        program, tensors = c.finish(logits, unused(found, others))
        text, eos, unk = tokenizer(path.parent, config.vocab_size, Marks(config.eos_token_id))
        return FloatModel(
            program,
            tensors,
            generation(config, eos, unk),
            tokenizers=dict.fromkeys(("source", "target"), text) if text else {},
            provenance={
                "file": path.name,
                "format": f"Hugging Face {TITLES[config.model_type]}",
                "sha256": content.sha256,
            },
            warnings=unknown_to(path, T5Config),
            wanted=WANTED,
        )


def generation(config: T5Config, eos: int, unk: int) -> Generation:
    """How the model reads and writes; raises CheckpointError for tokens that it has not."""
    return Generation(
        start=config.start,
        eos=eos,
        unk=unk,
        source_vocabulary=config.vocab_size,
        target_vocabulary=config.vocab_size,
        max_length_factor=MAX_LENGTH_FACTOR,
        more_eos=Marks(config.eos_token_id).others(eos),
    )


def words(config: T5Config, stored: Mapping[str, Stored]) -> dict[str, Stored | None]:
    """The matrices of words by their canonical names.

    A file with another matrix for the logits has untied matrices, whatever its configuration says,
    because transformers 5 always writes that they are tied.  Raises CheckpointError for matrices of
    another size, and for tables of both sides that differ.
    """
    table, head = one_matrix(stored, TABLES), stored.get(HEAD)
    if table is not None and (head is None or equal(head, table)):
        head = table
    found = {
        "source_embedding": table,
        "target_embedding": table,
        "output.weight": head,
        "output.bias": None,
    }
    check_words(found, dict.fromkeys([*found][:3], config.vocab_size), config.d_model)
    return found


def tensor(config: T5Config, found: Lookup, canonical: str) -> Stored | None:
    """The tensor of a canonical name in the form that an operation reads; None without one."""
    there = found(canonical)
    if there is None:
        return None
    if canonical == "decoder.norm.gain":
        return scaled(there, config.output_scale)
    if canonical.endswith(".query.weight"):
        return scaled(there, math.sqrt(config.d_kv))
    if canonical.endswith(".addend"):
        return config.buckets(canonical.partition(".")[0]).spread(there, config.num_heads)
    return there


def stored_name(config: T5Config, canonical: str) -> str:
    """The name in the file of a tensor of a stack.

    It is empty for the matrices of words, which have their own rules.
    """
    stack, _, rest = canonical.partition(".")
    if stack not in STACKS:
        return ""
    if rest.startswith("norm."):
        return f"{stack}.final_layer_norm.{_leaf(rest)}"
    layer, block, part = rest.split(".", 2)
    if part == "addend" and config.model_type != "umt5":
        layer = "0"  # all layers share the biases of the first layer
    sublayer = {"self": 0, "cross": 1, "ffn": 1 if stack == "encoder" else 2}[block]
    at = f"{stack}.block.{layer}.layer.{sublayer}"
    kind = part.partition(".")[0]
    if kind == "norm":
        return f"{at}.layer_norm.{_leaf(part)}"
    if block == "ffn":
        name = HIDDEN[kind] if config.form[1] or kind == "outer" else "wi"
        return f"{at}.DenseReluDense.{name}.{_leaf(part)}"
    attention = "SelfAttention" if block == "self" else "EncDecAttention"
    named = f"{BIASES}.weight" if kind == "addend" else f"{PARTS[kind]}.{_leaf(part)}"
    return f"{at}.{attention}.{named}"


def _leaf(name: str) -> str:
    leaf = name.rpartition(".")[2]
    return "weight" if leaf == "gain" else leaf
