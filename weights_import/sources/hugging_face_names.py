"""The names of tensors of decoders alone in files of Hugging Face's transformers, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from weights_import.sources.hugging_face import HEAD
from weights_import.tensors import Stored

QUERY, QUERY_NORM = "self.query", "self.query_norm"
BRANCH_NORMS = {
    "self.branch_norm": "post_attention_layernorm",
    "ffn.branch_norm": "post_feedforward_layernorm",
}
"""The norms of the results of sublayers."""
HEAD_NORMS = {QUERY_NORM: "self_attn.q_norm", "self.key_norm": "self_attn.k_norm"}
"""The norms of queries and keys."""
NORMS = ("norm", "self.norm", "ffn.norm", *BRANCH_NORMS, *HEAD_NORMS)
LEAVES = {"weight": "weight", "gain": "weight", "bias": "bias"}


@dataclass(frozen=True)
class Names:
    """Where the file of a family has its tensors.

    body       what stands before the names of a model with a head
    layer      what stands before the names of a layer, with {} for its number
    embedding  the table of the embedding
    last_norm  the norm before the logits, without its leaf
    parts      the names in a layer by canonical names, without their leaves
    positions  the table of learned positions
    heads      the possible names of the matrix of the logits
    head_bias  the bias of the logits; empty where no file has one
    embedding_norm  the norm of the embeddings, without its leaf
    widening        matrices between the words and the stream
    """

    body: str
    layer: str
    embedding: str
    last_norm: str
    parts: Mapping[str, str]
    positions: str = ""
    heads: tuple[str, ...] = (HEAD,)
    head_bias: str = ""
    embedding_norm: str = ""
    widening: tuple[str, ...] = ()

    @property
    def always(self) -> str:
        """A tensor that every such checkpoint has."""
        return f"{self.layer.format(0)}{self.parts[QUERY]}.weight"

    @property
    def words(self) -> set[str]:
        """The matrices of words and the bias of the logits, which have their own rules."""
        widening = (self.body + name for name in self.widening)
        return {self.body + self.embedding, *self.heads, self.head_bias, *widening}

    def within(self, stored: Mapping[str, Stored]) -> Names:
        """The names in a file that has a model with a head, or a body alone."""
        parts = self.body.split(".")
        bodies = [".".join(parts[at:]) for at in range(len(parts))]
        there = [body for body in bodies if body + self.embedding in stored]
        return replace(self, body=there[0] if there else self.body)

    def stored(self, canonical: str) -> str:
        """The name in the file of a tensor.

        It is empty for a tensor that no such file has, and for the matrices of words, which have
        their own rules.
        """
        if canonical == "positions":
            return self.body + self.positions
        layer, part, leaf = placed(canonical)
        if part == "norm":
            return f"{self.body}{self.last_norm}.{LEAVES[leaf]}"
        if part == "embedding_norm":
            return f"{self.body}{self.embedding_norm}.{LEAVES[leaf]}"
        if part not in self.parts:
            return ""
        return f"{self.body}{self.layer.format(layer)}{self.parts[part]}.{LEAVES[leaf]}"


def placed(canonical: str) -> tuple[str, str, str]:
    """The layer, the part and the leaf of a name, such as decoder.3.self.query.weight."""
    at, _, leaf = canonical.removeprefix("decoder.").rpartition(".")
    layer, _, part = at.partition(".")
    return (layer, part, leaf) if part else ("", at, leaf)
