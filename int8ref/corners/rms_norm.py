"""Corner cases of `rms_norm`."""

from __future__ import annotations

from int8ref.corners.case import Case
from int8ref.corners.norms import shared_cases


def cases() -> list[Case]:
    """Return the cases."""
    return shared_cases("rms_norm", root=True)
