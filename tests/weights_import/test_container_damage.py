"""Damaged containers: 500 mutations of each are read or refused in one line, and nothing else."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import fuzz_checkpoints
import pytest
import test_containers
import tiny_llama

from weights_import import sources
from weights_import.errors import CheckpointError

MUTATIONS = 200
MEMORY = 64 << 20
"""What the memory of the process may grow by, for files of 30 KB."""
KINDS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    fuzz_checkpoints.flip, fuzz_checkpoints.flip, fuzz_checkpoints.resize, fuzz_checkpoints.cut,
    fuzz_checkpoints.replace_json,
)  # fmt: skip


def elsewhere(content: bytes, draw: random.Random) -> bytes:
    """Change bytes of the pickle and of the list of members, because most of a file is numbers."""
    found = bytearray(content)
    places = [at for sign in (b"X", b"q", b"PK", b"ctorch") for at in _places(content, sign)]
    for _ in range(draw.choice((1, 2, 5))):
        at = draw.choice(places) + draw.randrange(6)
        found[at % len(found)] = draw.choice((0, 1, 127, 255, draw.randrange(256)))
    return bytes(found)


def _places(content: bytes, sign: bytes) -> list[int]:
    found, at = [], content.find(sign)
    while at >= 0:
        found.append(at)
        at = content.find(sign, at + 1)
    return found or [0]


def most_memory() -> int:
    """Return the most memory that the process has had, in bytes; 0 where that is not known."""
    if sys.platform != "linux":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def refusal(folder: Path) -> str:
    """Read the checkpoint and all of its tensors.  Return why it is refused."""
    try:
        model = sources.read(folder)
        for name in model.tensors:
            assert model.tensors[name].shape == model.tensors.shape(name)
    except CheckpointError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("pack", test_containers.CONTAINERS, ids=lambda pack: pack.__name__)
def test_mutations_are_read_or_refused(pack: Callable[[Path], Path], tmp_path: Path) -> None:
    whole = pack(tiny_llama.write(tmp_path, num_hidden_layers=1))
    files = [path for path in sorted(tmp_path.iterdir()) if path.name != "config.json"]
    refused, before = 0, most_memory()
    for number in range(MUTATIONS):
        draw = random.Random(number)
        victim = draw.choice([*files, whole])
        content = victim.read_bytes()
        victim.write_bytes(draw.choice((*KINDS, elsewhere, elsewhere))(content, draw))
        said = refusal(tmp_path)
        refused += said != ""
        assert "\n" not in said
        assert len(said) < 9000
        victim.write_bytes(content)
    assert most_memory() - before < MEMORY
    assert MUTATIONS // 4 < refused < MUTATIONS
