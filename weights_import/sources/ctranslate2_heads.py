"""The heads of attention of a decoder alone in CTranslate2's files, and their rotary positions.

Queries, keys and values are the rows of one matrix, in this order.  Heads of queries may share keys
and values.  Rotary positions turn the first columns of a head.  The columns of a pair stand side by
side (`rotary_interleave`), or half of the columns apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from weights_import.errors import CheckpointError
from weights_import.operations.heads import Heads
from weights_import.sources.ctranslate2_rotary import frequencies
from weights_import.sources.ctranslate2_variables import Variables
from weights_import.sources.stored_rows import halves, projection
from weights_import.tensors import Stored

PARTS = "query", "key", "value"


@dataclass(frozen=True)
class Fused:
    """The heads of a layer, as its matrix of queries, keys and values has them.

    interleaved  whether the columns of a rotary pair stand side by side
    """

    heads: Heads
    interleaved: bool

    def part(self, tensor: Stored | None, name: str) -> Stored | None:
        """The rows of a part of a fused matrix or bias, in the order of `Heads`."""
        if tensor is None or tensor.shape[:1] != (self.heads.width + 2 * self.heads.key_width,):
            return tensor
        found = projection(tensor, self.heads, name)
        if not self.interleaved or name == "value":
            return found
        count = self.heads.count if name == "query" else self.heads.key_heads
        return halves(found, count, self.heads.size, len(self.heads.rotary))


def fused(variables: Variables, layer: int, width: int) -> Fused:
    """The heads of a layer of a model of this width; raises CheckpointError for heads that do not
    make up the matrix of the layer."""
    at = f"decoder/layer_{layer}/self_attention"
    count = variables.whole("decoder/num_heads", 0)
    keys = variables.whole(f"{at}/num_heads_kv", count)
    size = variables.whole(f"{at}/head_dim", width // count)
    matrix = variables.tensor(f"{at}/linear_0/weight")
    shape = ((count + 2 * keys) * size, width)
    if matrix is None or matrix.shape != shape:
        told = "no matrix" if matrix is None else list(matrix.shape)
        raise CheckpointError(
            f"{at}/linear_0/weight: {told}, expected {list(shape)} for {count} heads of queries and"
            f" {keys} of keys and values, of {size} columns each"
        )
    rotary = frequencies(variables, at, size)
    interleaved = bool(variables.number(f"{at}/rotary_interleave", 1)) and bool(rotary)
    return Fused(Heads(count, size, keys, rotary), interleaved)
