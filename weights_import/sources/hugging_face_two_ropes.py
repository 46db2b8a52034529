"""Two kinds of positions in one model of Hugging Face's transformers: the layers that see a window
have frequencies of their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from weights_import.errors import CheckpointError
from weights_import.operations.heads import Heads
from weights_import.sources import rotary_heads
from weights_import.sources.hugging_face_rope import Rope
from weights_import.sources.rope_scaling import Rotary


class Ropes(Rope, frozen=True, kw_only=True):
    """How positions turn in the layers that see all, and in the layers that see a window."""

    full_attention: Rope | None = None
    sliding_attention: Rope | None = None


class TwoRopes:
    """The two kinds of positions of a configuration with windows, which is the next base class.

    Both are bases of a configuration, and this class is the first of them.  It has no fields,
    because msgspec merges the fields of several bases in an order of its own.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        columns: int
        rope_parameters: Ropes
        rope_theta: float

        def is_sliding(self, layer: int) -> bool: ...

    @property
    def local_base(self) -> float:
        """The base of the frequencies of windows, if the file tells no other."""
        return self.rope_theta

    @property
    def rope(self) -> Rope:
        """The settings of positions in the layers that see all."""
        found: Rope | None = self.rope_parameters.full_attention
        return found or super().rope  # type: ignore[misc]

    @property
    def rotary(self) -> Rotary:
        found: Rotary = replace(super().rotary, magnitude=1.0)  # type: ignore[misc]
        return found

    def query_factor(self, layer: int) -> float:
        """Scaling makes queries and keys larger in the layers that see all."""
        magnitude = 1.0 if self.is_sliding(layer) else super().rotary.magnitude  # type: ignore[misc]
        return float(magnitude * magnitude)

    def heads_of(self, heads: Heads, layer: int) -> Heads:
        """The heads of one layer; raises CheckpointError for windows with scaled frequencies."""
        found: Heads = super().heads_of(heads, layer)  # type: ignore[misc]
        if not self.is_sliding(layer):
            return found
        local = self.rope_parameters.sliding_attention or Rope()
        if local.method != "default":
            raise CheckpointError(
                f"rope scaling {local.method!r} of sliding_attention (supported: default)"
            )
        base = local.rope_theta or self.local_base
        return replace(found, rotary=rotary_heads.frequencies(base, self.columns))
