"""Reads encoders alone of Hugging Face's transformers, by a configuration and a table of names.

A module for a family says which kinds of models belong to it, what their configurations tell, and
where the file has their tensors.  A checkpoint of sentence-transformers tells beside the file how
the rows of a text become one row.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from weights_import.arithmetic.activations import Activation
from weights_import.composer import Composer, Normed
from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel, Generation
from weights_import.float_program import FloatProgram
from weights_import.sources import encoder_only, hugging_face_tokenizer, sentence_transformers
from weights_import.sources.containers import contents
from weights_import.sources.encoder_only import Dense, Shape
from weights_import.sources.hugging_face import FOLLOWS, unused
from weights_import.sources.hugging_face_config import beside, read_config, unknown_to
from weights_import.sources.hugging_face_decoder import size_of_heads
from weights_import.sources.hugging_face_encoder_config import CLASSIFIER, Config
from weights_import.sources.hugging_face_encoder_text import text_of
from weights_import.sources.hugging_face_kinds import Kinds
from weights_import.sources.lookup import Lookup
from weights_import.sources.safetensors_file import Contents
from weights_import.sources.sentence_transformers import Modules
from weights_import.sources.stored_rows import later
from weights_import.tensors import Float32, Stored, Tensors

LEAVES = {"weight": "weight", "gain": "weight", "bias": "bias"}
OLD = re.compile(r"(.*LayerNorm)\.(gamma|beta)")
"""Norms in files of before 2019, which TensorFlow has named."""
NEW = {"gamma": "weight", "beta": "bias"}
WORDS, POSITIONS, TYPES = (f"embeddings.{name}_embeddings.weight" for name in (
    "word", "position", "token_type",
))  # fmt: skip
BIASES = "encoder.relative_attention_bias.weight"
PASSED = re.compile(
    r"(cls|lm_head|vocab_\w+|predictions|sop_classifier|(discriminator|generator)_\w+)\..*"
    r"|(.*\.)?pooler\..*"
)
"""Heads of other tasks."""


@dataclass(frozen=True)
class Names:
    """Where the file of a family has its tensors.

    body        what stands before the names of a model with a head
    layer       what stands before the names of a layer, with {} for its number
    parts       the names in a layer by canonical names, without their leaves
    dense       the product before the logits, by its whole name
    activation  the activation of this product
    logits      the product that gives the logits
    projection  the product that widens the embedded tokens
    """

    body: str
    layer: str
    parts: Mapping[str, str]
    dense: str
    activation: Activation
    logits: str
    projection: str = "embeddings_project"

    @property
    def always(self) -> str:
        """A tensor that every such checkpoint has."""
        return f"{self.layer.format(0)}{self.parts['self.query']}.weight"

    def stored(self, canonical: str) -> str:
        """The name in the file of a tensor; empty for a tensor that no such file has."""
        at, _, leaf = canonical.rpartition(".")
        if at in (outer := self._outer()):
            return f"{outer[at]}.{LEAVES[leaf]}"
        _, layer, part = (*canonical.removesuffix(f".{leaf}").split(".", 2), "", "")[:3]
        if part not in self.parts:
            return ""
        return f"{self.body}{self.layer.format(layer)}{self.parts[part]}.{LEAVES[leaf]}"

    def _outer(self) -> dict[str, str]:
        """The names of products and norms outside the layers."""
        return {
            "encoder.embedding_norm": f"{self.body}embeddings.LayerNorm",
            "encoder.embedding.projection": f"{self.body}{self.projection}",
            "dense.0": self.dense.format(body=self.body),
            encoder_only.LOGITS: self.logits,
        }


@dataclass(frozen=True)
class Family(Kinds):
    """One format: models of some kinds, each with its title, its fields and its names."""

    config: type[Config]
    names: Names

    @property
    def format(self) -> str:
        """Its name for people."""
        return (
            f"Hugging Face {self.title}, embeddings and labels (.safetensors or .bin, config.json)"
        )

    def recognises(self, path: Path) -> bool:
        """Whether the file is a checkpoint of this family, with its configuration beside it."""
        return self.holds(path, self.names.always)

    def companions(self, path: Path) -> list[Path]:
        """The files beside it that `read` reads."""
        own = hugging_face_tokenizer.files(path.parent), sentence_transformers.files(path)
        return list(dict.fromkeys([*beside(path), *own[0], *own[1]]))

    def read(self, path: Path) -> FloatModel:
        """Reads a checkpoint with the files beside it; raises CheckpointError."""
        with located(path):
            config = read_config(path, self.config, tasks=(CLASSIFIER,))
            self.check(config.model_type)
            model = self._model(path, config, contents(path))
            model.warnings.extend(unknown_to(path, self.config))
            return model

    def _model(self, path: Path, config: Config, content: Contents) -> FloatModel:
        stored, names = renamed(content.tensors), self.names
        if not any(name.startswith(names.body) for name in stored):
            names = Names(**{**vars(names), "body": ""})
        modules = Modules() if config.classifies else sentence_transformers.modules(path)
        table, words = positions(stored, names, config), stored.get(names.body + WORDS)
        shape = shape_of(config, modules, names, (table, words))
        own = {"positions": table, "source_embedding": words, **modules.tensors}
        own |= biases(stored, names, config)
        program, tensors, passed = composed(config, shape, Lookup(stored, names.stored, own), names)
        text = text_of(path.parent, config)
        origin = {"format": f"Hugging Face {self.titles[config.model_type]}"}
        return FloatModel(
            program,
            tensors,
            Generation(
                start=-1,
                eos=text.eos,
                unk=text.unk,
                target_vocabulary=config.vocab_size,
                source_vocabulary=config.vocab_size,
                max_positions=min(table.shape[0], modules.positions or table.shape[0]),
                source_frame=text.frame,
            ),
            tokenizers=text.tokenizers,
            provenance={"file": path.name, **origin, "sha256": content.sha256},
            labels=config.labels,
            wanted=text.wanted,
            warnings=[*modules.warnings, *text.warnings, *passed],
        )


def renamed(tensors: Mapping[str, Stored]) -> dict[str, Stored]:
    """The tensors of a file by the names of today."""
    named = {OLD.sub(lambda m: f"{m[1]}.{NEW[m[2]]}", n): x for n, x in tensors.items()}
    return {name: tensor for name, tensor in named.items() if not FOLLOWS.fullmatch(name)}


def positions(stored: Mapping[str, Stored], names: Names, config: Config) -> Stored:
    """The rows of the positions, to which the row of the first type of tokens is added.

    A text has tokens of the first type alone.  Raises CheckpointError without positions.
    """
    name = names.body + POSITIONS
    if name not in stored or len(stored[name].shape) != 2:
        raise CheckpointError(f"missing {name} [positions, {config.hidden_size}]")
    table = later(stored[name], config.unused_positions)
    types = stored.get(names.body + TYPES)
    if types is None:
        return table
    if types.shape[1:] != table.shape[1:] or not types.shape[0]:
        raise CheckpointError(f"wrong shape {types.name} {list(types.shape)}")

    def added() -> Float32:
        both: Float32 = table.read() + types.read()[0]
        return both

    return Stored(table.name, table.shape, added)


def attentions(config: Config) -> list[str]:
    """The names of the attention of each layer."""
    return [f"encoder.{i}.self" for i in range(config.num_hidden_layers)]


def biases(stored: Mapping[str, Stored], names: Names, config: Config) -> dict[str, Stored]:
    """The addend of each attention, which all layers share; raises CheckpointError."""
    buckets, name = config.buckets, names.body + BIASES
    if buckets is None:
        return {}
    buckets.check()
    if name not in stored:
        raise CheckpointError(f"missing {name} [{buckets.count}, {config.num_attention_heads}]")
    table = buckets.spread(stored[name], config.num_attention_heads)
    return dict.fromkeys((f"{at}.addend" for at in attentions(config)), table)


def shape_of(
    config: Config, modules: Modules, names: Names, tables: tuple[Stored, Stored | None]
) -> Shape:
    """The sizes of a model; raises CheckpointError where the tables have others."""
    table, words = tables
    width = config.embedding_size or config.hidden_size
    if words is None or words.shape != (config.vocab_size, width):
        found = "missing" if words is None else f"wrong shape {list(words.shape)} of"
        expected = f"expected {[config.vocab_size, width]}"
        raise CheckpointError(f"{found} {names.body}{WORDS}, {expected}")
    labels, dense, buckets = len(config.labels), modules.dense, config.buckets
    if labels:
        dense = (Dense(config.hidden_size, names.activation),)
    size_of_heads(config.hidden_size, config.num_attention_heads)
    return Shape(
        d_model=config.hidden_size,
        d_ffn=config.intermediate_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        vocabulary=config.vocab_size,
        positions=table.shape[0],
        activation=config.activation,
        embedding_width=width,
        pooling="cls" if labels else modules.pooling,
        addends={}
        if buckets is None
        else {at: buckets.addend(f"{at}.addend") for at in attentions(config)},
        dense=dense,
        labels=labels,
    )


def composed(
    config: Config, shape: Shape, found: Lookup, names: Names
) -> tuple[FloatProgram, Tensors, list[str]]:
    """The program, its tensors, and a warning about heads of other tasks that are passed over."""
    c = Composer(found, config.hidden_size, Normed("l2", config.layer_norm_eps))
    logits, output = encoder_only.compose(c, shape)
    own = {names.body + name for name in (WORDS, POSITIONS, TYPES, BIASES)}
    left = found.unasked(own)
    passed = {name for name in left if PASSED.fullmatch(name)}
    program, tensors = c.finish(logits, unused(found, own | passed), output)
    return program, tensors, heads_told(passed)


def heads_told(passed: Collection[str]) -> list[str]:
    """What is to be said of heads of other tasks; nothing of a pooler, which most files have."""
    heads = sorted({name.partition(".")[0] for name in passed if ".pooler." not in f".{name}"})
    return [f"heads of another task are passed over: {', '.join(heads)}"] if heads else []
