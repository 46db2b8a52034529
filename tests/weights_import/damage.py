"""Changes bytes of files.  A reader must read or reject the files, and do nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def damage(data: st.DataObject, files: Sequence[Path], reach: int, cut: bool = False) -> None:
    """Change one to three of the first `reach` bytes of one file.  `cut`: also cut its end."""
    victim = data.draw(st.sampled_from(files))
    content = bytearray(victim.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, min(len(content), reach) - 1))
        content[place] = data.draw(st.integers(0, 255))
    if cut:
        content = content[: data.draw(st.integers(len(content) // 2, len(content)))]
    victim.write_bytes(content)
