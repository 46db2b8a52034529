"""Models of Llama's kind in Hugging Face's transformers whose layers that see a window have
frequencies of positions of their own.

Scaling may make queries and keys larger in the other layers.  Whole heads turn, so the factor acts
on all columns of the queries of these layers.
"""

from __future__ import annotations

from dataclasses import replace

from weights_import.errors import CheckpointError
from weights_import.operations.heads import Heads
from weights_import.sources import rotary_heads
from weights_import.sources.hugging_face_rope import Rope
from weights_import.sources.hugging_face_sliding import SlidingConfig
from weights_import.sources.rope_scaling import Rotary


class Ropes(Rope, frozen=True, kw_only=True):
    """How positions turn in the layers that see all, and in the layers that see a window."""

    full_attention: Rope | None = None
    sliding_attention: Rope | None = None


class TwoRopesConfig(SlidingConfig, frozen=True, kw_only=True):
    """The fields of such a model."""

    rope_parameters: Ropes = Ropes()

    @property
    def local_base(self) -> float:
        """The base of the frequencies in layers that see a window, if their settings lack it."""
        return self.rope_theta

    @property
    def rope(self) -> Rope:
        """The settings of positions in the layers that see all."""
        return self.rope_parameters.full_attention or super().rope

    @property
    def rotary(self) -> Rotary:
        return replace(super().rotary, magnitude=1.0)

    def query_factor(self, layer: int) -> float:
        if self.is_sliding(layer):
            return 1.0
        magnitude = super().rotary.magnitude
        return magnitude * magnitude

    def heads_of(self, heads: Heads, layer: int) -> Heads:
        found = super().heads_of(heads, layer)
        if not self.is_sliding(layer):
            return found
        local = self.rope_parameters.sliding_attention or Rope()
        if local.method != "default":
            raise CheckpointError(
                f"rope scaling {local.method!r} of sliding_attention (supported: default)"
            )
        base = local.rope_theta or self.local_base
        return replace(found, rotary=rotary_heads.frequencies(base, self.columns))
