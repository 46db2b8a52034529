"""What CTranslate2 keeps of T5 models: relative positions as biases of the scores of attention.

With these biases come other scales of the scores and of the logits, gated hidden layers, heads of
any size, and norms by the root of the mean square.
"""

from __future__ import annotations

import math
from typing import Any

from weights_import.composer import Composer, Normed
from weights_import.errors import CheckpointError
from weights_import.sources.ctranslate2_numbers import RMS_NORM_EPSILON
from weights_import.sources.ctranslate2_tensors import finder
from weights_import.sources.ctranslate2_variables import STACKS, Variables
from weights_import.sources.relative_buckets import Buckets
from weights_import.sources.stored_rows import scaled
from weights_import.tensors import Stored

BIAS, FARTHEST = "relative_attention_bias", "relative_attention_max_distance"
READ = {BIAS, "queries_scale", "linear_0_noact", "scale_outputs"}
"""The parts of a model that are read here."""
GATED = {"gate": "linear_0", "inner": "linear_0_noact"}
"""The parts of a gated hidden layer."""
FARTHEST_OF_T5, HEADS_OF_T5 = 128, 8
MOST_HEADS = 1 << 12


class RelativePositions:
    """The parts of a model with relative positions; raises CheckpointError for impossible ones."""

    def __init__(self, variables: Variables) -> None:
        self._variables = variables
        self._heads = heads = int(variables.shared("num_heads", HEADS_OF_T5))
        self._buckets: dict[str, Buckets] = {}
        for stack in STACKS:
            for i in range(variables.layers(stack)):
                at = f"{stack}/layer_{i}/self_attention"
                self._buckets[f"{stack}.{i}.self"] = self._of_layer(at, stack == "decoder")
        fused = variables.tensor("encoder/layer_0/self_attention/linear_0/weight")
        rows = 0 if fused is None else fused.shape[0]
        if not 1 <= heads <= MOST_HEADS or not rows or rows % (3 * heads):
            raise CheckpointError(f"{heads} heads do not divide the {rows} rows of their matrix")
        self._size = rows // (3 * heads)

    def _of_layer(self, at: str, causal: bool) -> Buckets:
        variables = self._variables
        biases = variables.tensor(f"{at}/{BIAS}")
        if biases is None:
            raise CheckpointError(f"missing {at}/{BIAS}")
        farthest = variables.whole(f"{at}/{FARTHEST}", FARTHEST_OF_T5)
        found = Buckets(biases.shape[0], farthest, causal)
        found.check()
        return found

    @property
    def shape(self) -> dict[str, Any]:
        """Their fields of the shape of the model."""
        return {
            "head_size": self._size,
            "gated": self._gated,
            "addends": {name: b.addend(f"{name}.addend") for name, b in self._buckets.items()},
        }

    @property
    def _gated(self) -> bool:
        return "encoder/layer_0/ffn/linear_0_noact/weight" in self._variables

    def composer(self, width: int, epsilon: float | None) -> Composer:
        """The composer of the model, for the epsilon that the configuration tells."""
        norm = Normed("rms", epsilon or RMS_NORM_EPSILON, bias=False)
        return Composer(self.find, width, norm, biases=False)

    def find(self, canonical: str) -> Stored | None:
        """The tensor of a canonical name; None without one."""
        at, _, leaf = canonical.rpartition(".")
        place, _, part = at.rpartition(".")
        if leaf == "addend":
            biases = self._variables.tensor(f"{_place(at)}self_attention/{BIAS}")
            return None if biases is None else self._buckets[at].spread(biases, self._heads)
        if place.endswith(".ffn") and part in GATED and self._gated:
            return self._variables.tensor(f"{_place(place)}ffn/{GATED[part]}/{leaf}")
        there = finder(self._variables, {})(canonical)
        assert there is None or isinstance(there, Stored)
        return self._scaled(canonical, there)

    def _scaled(self, canonical: str, tensor: Stored | None) -> Stored | None:
        """A tensor with the scale that acts behind it."""
        if tensor is None:
            return None
        if canonical == "decoder.norm.gain":
            return scaled(tensor, self._variables.number("decoder/scale_outputs", 1))
        if canonical.endswith(".query.weight"):
            block = "attention" if ".cross." in canonical else "self_attention"
            name = f"{_place(canonical.rpartition('.query')[0])}{block}/queries_scale"
            usual = 1 / math.sqrt(self._size)
            return scaled(tensor, self._variables.number(name, usual) / usual)
        return tensor


def has_relative(variables: Variables) -> bool:
    """Whether a model has relative positions of this kind."""
    return any(name.endswith(f"/{BIAS}") for name in variables)


def relative_positions(variables: Variables) -> RelativePositions | None:
    """The parts of a model with relative positions; None for another model."""
    return RelativePositions(variables) if has_relative(variables) else None


def _place(sublayer: str) -> str:
    """Where the variables of a layer are, for a sublayer such as decoder.0.self."""
    stack, layer, _ = sublayer.split(".")
    return f"{stack}/layer_{layer}/"
