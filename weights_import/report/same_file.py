"""Whether a model file is what a checkpoint lowers to."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from int8ref.files.model_file import Model
from weights_import.lower import Lowered

NAMED = 3
"""The most tensors that a message names."""


def differences(model: Model, lowered: Lowered, provenance: dict[str, str]) -> Iterator[str]:
    """Yield how a model file differs from a lowered checkpoint, its `provenance` first."""
    known = {name for name in provenance if name in model.provenance}
    changed = sorted(name for name in known if model.provenance[name] != provenance[name])
    programs = _json(model.program), _json(lowered.program)
    tensors = _tensors(model, lowered)
    if programs[0] == programs[1] and not tensors:
        return
    for name in changed:
        yield f"{name} is {model.provenance[name]} in the file and {provenance[name]} here"
    if programs[0] != programs[1]:
        yield "its Program is another"
    if tensors:
        more = f" and {len(tensors) - NAMED} more" if len(tensors) > NAMED else ""
        yield f"other tensors: {', '.join(tensors[:NAMED])}{more}"


def _json(program: object) -> bytes:
    return msgspec.json.encode(program, order="sorted")


def _tensors(model: Model, lowered: Lowered) -> list[str]:
    """The names of the tensors that one side lacks, or that differ."""
    names = sorted(model.tensors.keys() | lowered.tensors.keys())
    return [
        name
        for name in names
        if name not in model.tensors
        or name not in lowered.tensors
        or not np.array_equal(model.tensors[name], lowered.tensors[name])
    ]
