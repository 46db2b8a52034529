"""Where the variables of a CTranslate2 model hold the tensors of canonical names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from weights_import.composer import Find
from weights_import.errors import CheckpointError
from weights_import.operations.embedding import sinusoids
from weights_import.sources.ctranslate2_variables import STACKS, Variables
from weights_import.tensors import Stored

POSITIONS = 1024
"""Of the sinusoids that a file without a table stands for, which begin with position 1."""

WIDEST = 1 << 15

NORM_PARTS = {"gain": "gamma", "bias": "beta"}
NORMS = {"norm": "layer_norm", "embedding_norm": "layernorm_embedding"}
BLOCKS = {
    "self": (
        "self_attention",
        {"query": (0, 0), "key": (0, 1), "value": (0, 2), "output": (1, 0)},
    ),
    "cross": ("attention", {"query": (0, 0), "key": (1, 0), "value": (1, 1), "output": (2, 0)}),
    "ffn": ("ffn", {"inner": (0, 0), "outer": (1, 0)}),
}
"""Canonical block -> its name, and for each of its maps the linear map and which part of that."""
EMBEDDINGS = dict(zip(("source_embedding", "target_embedding"), STACKS, strict=True))
OUTPUT = {
    "output.weight": "decoder/projection/weight",
    "output.bias": "decoder/projection/bias",
}


def embedding(variables: Variables, stack: str) -> Stored | None:
    """The table of a stack, which newer files number."""
    newer = variables.tensor(f"{stack}/embeddings_0/weight")
    return variables.tensor(f"{stack}/embeddings/weight") if newer is None else newer


def position_tables(variables: Variables, width: int) -> dict[str, Stored]:
    """The tables of positions by their canonical names, cut to one length.

    The target has its own table only if its numbers differ.  Without a table, both sides have
    sinusoids.  Raises CheckpointError if only one side has a table.
    """
    source, target = (variables.tensor(f"{stack}/position_encodings/encodings") for stack in STACKS)
    if source is None and target is None:
        return {"positions": made_positions(width)}
    if source is None or target is None:
        raise CheckpointError("encoder and decoder have not both a table of positions")
    rows = min(source.shape[0], target.shape[0])
    source, target = _first(source, rows), _first(target, rows)
    if np.array_equal(source.read(), target.read()):
        return {"positions": source}
    return {"positions": source, "target_positions": target}


def made_positions(width: int) -> Stored:
    """The sinusoids that a file without a table stands for.

    Raises CheckpointError for a width that no model has, because the size of the file does not
    limit the size of sinusoids.
    """
    if width > WIDEST:
        raise CheckpointError(f"a width of {width}, at most {WIDEST} is read")
    return Stored.of(sinusoids(1, POSITIONS, width), "positions")


def _first(table: Stored, rows: int) -> Stored:
    return table.changed((rows, *table.shape[1:]), lambda x: x[:rows])


def finder(variables: Variables, tables: Mapping[str, Stored]) -> Find:
    """What finds a tensor by its canonical name."""

    def find(canonical: str) -> Stored | None:
        if canonical in ("positions", "target_positions"):
            return tables.get(canonical)
        if canonical in EMBEDDINGS:
            return embedding(variables, EMBEDDINGS[canonical])
        if canonical in OUTPUT:
            return variables.tensor(OUTPUT[canonical])
        return inner(variables, *canonical.split("."))

    return find


def inner(variables: Variables, stack: str, *path: str) -> Stored | None:
    """A tensor of a stack by the rest of its canonical name."""
    if len(path) == 2:
        return variables.tensor(f"{stack}/{NORMS[path[0]]}/{NORM_PARTS[path[1]]}")
    layer, block, kind, leaf = path
    named, maps = BLOCKS[block]
    at = f"{stack}/layer_{layer}/{named}"
    if kind == "norm":
        return variables.tensor(f"{at}/layer_norm/{NORM_PARTS[leaf]}")
    number, part = maps[kind]
    parts = len([place for place in maps.values() if place[0] == number])
    return part_of(variables.tensor(f"{at}/linear_{number}/{leaf}"), part, parts)


def part_of(fused: Stored | None, part: int, parts: int) -> Stored | None:
    """One of the equal parts of the rows of a fused matrix or bias."""
    if fused is None or parts == 1 or fused.shape[0] % parts:
        return fused
    rows = fused.shape[0] // parts
    first = part * rows
    return fused.changed((rows, *fused.shape[1:]), lambda x: x[first : first + rows])
