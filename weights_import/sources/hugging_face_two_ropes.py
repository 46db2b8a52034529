"""Two kinds of positions in one model of Hugging Face's transformers: the layers that see a window
have frequencies of their own.
"""

from __future__ import annotations

from dataclasses import replace

from weights_import.errors import CheckpointError
from weights_import.operations.heads import Heads
from weights_import.sources import rotary_heads
from weights_import.sources.hugging_face_rope import Rope


class Ropes(Rope, frozen=True, kw_only=True):
    """How positions turn in the layers that see all, and in the layers that see a window."""

    full_attention: Rope | None = None
    sliding_attention: Rope | None = None


def local_heads(heads: Heads, ropes: Ropes, base: float, columns: int) -> Heads:
    """The heads of a layer that sees a window, with a base of frequencies if `ropes` tell none.

    Raises CheckpointError for frequencies that are scaled.
    """
    local = ropes.sliding_attention or Rope()
    if local.method != "default":
        raise CheckpointError(
            f"rope scaling {local.method!r} of sliding_attention (supported: default)"
        )
    return replace(heads, rotary=rotary_heads.frequencies(local.rope_theta or base, columns))
