"""What the checkpoints of training frameworks share: fairseq, OpenNMT-py, JoeyNMT and Sockeye.

Each of them is a file of torch.save with the tensors of a Transformer, options, and vocabularies in
the file or beside it.  A reader says what the options mean and where the tensors are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from int8ref.program.program import SourceFrame
from weights_import.composer import Composer, Normed
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel, Generation
from weights_import.operations.embedding import sinusoids
from weights_import.sources import encoder_decoder
from weights_import.sources.framework_text import tokenizers
from weights_import.sources.json_file import Kind, convert
from weights_import.sources.lookup import Lookup, Own, described
from weights_import.sources.safetensors_file import Integers
from weights_import.sources.stored_rows import first_rows
from weights_import.sources.torch_file import TorchFile, named
from weights_import.tensors import Stored

LEAVES = {"weight": "weight", "bias": "bias", "gain": "weight"}
MAX_LENGTH_FACTOR = 3.0
MAXIMUM_POSITIONS = 1 << 10
"""Of a table of positions, which is as many as an int8 model can have."""
MAXIMUM_LAYERS = 1 << 7


@dataclass(frozen=True)
class Names:
    """Where a file has its tensors.

    layer      what stands before the parts of a layer of each stack, with {i} for its number
    parts      the names in a layer by canonical names, which may begin with the stack
    embedding_norm, last_norm  the norms of a stack outside its layers
    """

    layer: Mapping[str, str]
    parts: Mapping[str, str]
    last_norm: str
    embedding_norm: str = ""

    def stored(self, canonical: str) -> str:
        """The name in the file of a tensor of a stack; empty for other tensors."""
        body, _, leaf = canonical.rpartition(".")
        stack, _, rest = body.partition(".")
        if stack not in ("encoder", "decoder"):
            return ""
        outside = {"norm": self.last_norm, "embedding_norm": self.embedding_norm}
        if rest in outside:
            return f"{outside[rest].format(stack=stack)}.{LEAVES[leaf]}"
        i, _, part = rest.partition(".")
        found = self.parts.get(f"{stack}.{part}", self.parts.get(part))
        return "" if found is None else f"{self.layer[stack].format(i=i)}{found}.{LEAVES[leaf]}"


@dataclass(frozen=True)
class Marks:
    """The tokens of a model by their names.

    source_ends  whether `eos` stands after a source
    """

    eos: str = "</s>"
    unk: str = "<unk>"
    start: str = "<s>"
    source_ends: bool = True


def _unchanged(part: str, tensor: Stored) -> Stored:
    return tensor


@dataclass(frozen=True)
class Told:
    """What a reader has found of a model.

    own           tensors by canonical names, which replace the tensors of the file
    vocabularies  ids by piece, for "source" and "target"; for "target" alone in a decoder alone
    change        how a tensor of the file becomes what an operation reads, by its part in a layer
    others        tensors of the file that no operation needs
    """

    title: str
    shape: encoder_decoder.Shape
    names: Names
    own: Mapping[str, Own]
    vocabularies: Mapping[str, Mapping[str, int]]
    marks: Marks
    epsilon: float = 1e-6
    change: Callable[[str, Stored], Stored] = _unchanged
    others: Collection[str] = ()
    languages: tuple[str, str] | None = None
    warnings: list[str] = field(default_factory=list)


def made(path: Path, stored: Mapping[str, Stored], told: Told, sha256: str) -> FloatModel:
    """The model of a checkpoint; raises CheckpointError with all that is wrong with it."""
    found = Lookup(stored, told.names.stored, told.own)

    def find(canonical: str) -> Own:
        tensor = found(canonical)
        if tensor is None or canonical in told.own:
            return tensor
        return told.change(canonical.rpartition(".")[0].split(".", 2)[-1], tensor)

    shape = told.shape
    c = Composer(find, shape.d_model, Normed("l2", told.epsilon), biases=False)
    logits = encoder_decoder.compose(c, shape)
    left = found.unasked(told.others)
    floats = {name: tensor for name, tensor in left.items() if not isinstance(tensor, Integers)}
    program, tensors = c.finish(logits, described(floats))
    marks = told.marks
    text, warnings = tokenizers(path.parent, told.vocabularies, marks.eos, marks.unk)
    return FloatModel(
        program,
        tensors,
        generation(told),
        tokenizers=text,
        provenance={"file": path.name, "format": told.title, "sha256": sha256},
        languages=told.languages,
        warnings=[*told.warnings, *warnings],
    )


def generation(told: Told) -> Generation:
    """How the model reads and writes; raises CheckpointError for marks that are no tokens."""
    marks, shape, translates = told.marks, told.shape, told.shape.encoder_layers > 0
    ids = {
        side: _ids(vocabulary, (marks.eos, marks.unk))
        for side, vocabulary in told.vocabularies.items()
    }
    source, target = ids.get("source", ids["target"]), ids["target"]
    return Generation(
        start=_ids(told.vocabularies["target"], (marks.start,))[0],
        eos=target[0],
        unk=target[1],
        source_vocabulary=shape.source_vocabulary if translates else 0,
        target_vocabulary=shape.target_vocabulary,
        max_length_factor=MAX_LENGTH_FACTOR,
        max_positions=shape.max_positions,
        source_frame=SourceFrame((), (source[0],) * marks.source_ends) if translates else None,
        source_special=None if source == target else (source[0], source[1]),
    )


def _ids(vocabulary: Mapping[str, int], names: tuple[str, ...]) -> tuple[int, ...]:
    if missing := [name for name in names if name not in vocabulary]:
        raise CheckpointError(f"vocabulary: no {' and no '.join(missing)}")
    return tuple(vocabulary[name] for name in names)


# The file.


def present(path: Path, names: Collection[str]) -> list[Path]:
    """The files of these names beside a checkpoint, as far as they are there."""
    files = [path.with_name(name) for name in names]
    return [file for file in files if file.is_file()]


def require(path: Path, names: Collection[str]) -> None:
    """Raises CheckpointError for the first of these names that no file beside a checkpoint has."""
    for name in names:
        if not path.with_name(name).is_file():
            raise CheckpointError(f"no {name} beside it")


def saved(path: Path) -> tuple[TorchFile, dict[str, Any]]:
    """A file of torch.save, and the dictionary in it; raises CheckpointError without one."""
    file = TorchFile.of(path)
    if not isinstance(file.value, dict):
        raise CheckpointError("the file has no dictionary, as a checkpoint of training has")
    return file, file.value


def tensors(file: TorchFile, value: object) -> dict[str, Stored]:
    """The tensors of a part of a file."""
    return file.stored(named(value))


def options(told: object, kind: type[Kind], name: str) -> Kind:
    """Options without those that are None; raises CheckpointError for what is none, or unknown."""
    if not isinstance(told, dict):
        raise CheckpointError(f"{name}: no options of the model")
    return convert({key: value for key, value in told.items() if value is not None}, kind, name)


def layers(stored: Collection[str], names: Names, part: str) -> dict[str, int]:
    """The number of layers of each stack, which have a tensor of a part; raises CheckpointError for
    a decoder without layers."""
    found = {}
    for stack in ("encoder", "decoder"):
        listed = (names.stored(f"{stack}.{i}.{part}.weight") for i in range(MAXIMUM_LAYERS))
        found[stack] = len([name for name in listed if name in stored])
    if not found["decoder"]:
        raise CheckpointError(f"no {names.stored(f'decoder.0.{part}.weight')}")
    return found


def rows(tensor: Own, what: str) -> tuple[int, int]:
    """The shape of a matrix; raises CheckpointError for another tensor, or without one."""
    if tensor is None or len(tensor.shape) != 2:
        raise CheckpointError(f"no matrix of the {what}")
    return tensor.shape[0], tensor.shape[1]


def check_sizes(
    vocabularies: Mapping[str, Mapping[str, int]], embeddings: Mapping[str, tuple[int, int]]
) -> None:
    """Raises CheckpointError unless each vocabulary has the rows of its embedding."""
    for side, vocabulary in vocabularies.items():
        if len(vocabulary) != embeddings[side][0]:
            raise CheckpointError(
                f"{embeddings[side][0]} embeddings for a {side} vocabulary of {len(vocabulary)}"
            )


# Positions.


def positions(tensor: Own, width: int) -> Stored | None:
    """The table of positions that a file has, of any shape that holds rows of a width."""
    if tensor is None or not width or math.prod(tensor.shape) % width:
        return None
    count = math.prod(tensor.shape) // width
    table = tensor.changed((count, width), lambda x: x.reshape(count, width))
    return first_rows(table, MAXIMUM_POSITIONS)


def waves(first: int, count: int, width: int) -> Stored:
    """A table of sinusoids from the position `first` on."""
    count = min(count, MAXIMUM_POSITIONS)
    return Stored("positions", (count, width), lambda: np.asarray(sinusoids(first, count, width)))
