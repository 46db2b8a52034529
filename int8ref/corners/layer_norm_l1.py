"""Corner cases of `layer_norm_l1`."""

from __future__ import annotations

from int8ref.corners.case import Case
from int8ref.corners.norms import shared_cases


def cases() -> list[Case]:
    """Return the cases."""
    return shared_cases("layer_norm_l1", root=False)
