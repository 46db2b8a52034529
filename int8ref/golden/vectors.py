"""Golden vectors in memory: records of operations, and the arrays that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.engines.reference import run_instruction
from int8ref.results import Unknown
from int8ref.spec import arithmetic
from int8ref.spec.instruction import Instruction
from int8ref.spec.scope import Tensors
from int8ref.spec.trace import tracing

FORM = 2
"""Version of the forms.  Form 1 had one sentence, and no folder."""

Array = npt.NDArray[Any]
Told = dict[str, Any]


@dataclass
class Sentence:
    """A recorded sentence.

    text      the text
    source    token ids of the source with its frame.  Empty for a model without a source.
    target    token ids of the translation with eos, after the token of its language if the model
              has such tokens.  For a model without a source: of the text.
    """

    text: str
    source: list[int] = field(default_factory=list)
    target: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Names:
    """The names of the arrays of an operation in `Vectors.arrays`.

    values         by the name of a value
    tensors        the folder of the names of tensors
    intermediates  the folder of the names of intermediate values.  None: they are not recorded.
    """

    values: Mapping[str, str]
    tensors: str
    intermediates: str | None = None


@dataclass
class Vectors:
    """Recorded operations in the order of computation, and their arrays.

    sentences  the sentences of the batch
    records    for each operation: `op`, `sequence`, `step` of the decoder from 0 (else None),
               `case` (name and reason of a corner case, else None), `constants` by field (None for
               an absent operand), and `operands`, `results` and `intermediates` by field or symbol:
               names in `arrays`
    unknown    text that the vocabulary lacks, for each sentence
    arrays     int8, int16, int32 and int64 arrays by name: model/NAME for constants of the model,
               encoder/NAME and decoder/STEP/NAME for values, corners/OP/CASE/NAME for corner cases
    """

    sentences: list[Sentence] = field(default_factory=list)
    records: list[Told] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    unknown: list[Unknown] = field(default_factory=list)

    def index(self, model: str | None, sha256: str | None) -> Told:
        """Return all data except the arrays and the records.

        `model`: name of the model.  `sha256`: digest of its file.  Both are None without a model.
        """
        return {
            "form": FORM,
            "arithmetic": arithmetic.VERSION,
            "model": model,
            "sha256": sha256,
            "sentences": [asdict(sentence) for sentence in self.sentences],
        }

    def add(
        self,
        instruction: Instruction,
        told: Told,
        values: Mapping[str, Array],
        tensors: Tensors,
        names: Names,
    ) -> None:
        """Record one operation.

        told     `sequence`, `step` and `case` of the record
        values   all values that the operation names, its results included
        tensors  all tensors that it names
        """
        parts: dict[str, Told] = {"constants": {}, "operands": {}, "results": {}}
        for name, kind, content in instruction.operands():
            if kind == "constant" or (content is None and kind != "result"):
                parts["constants"][name] = content
            elif kind == "tensor":
                place = parts["operands"][name] = f"{names.tensors}/{content}"
                self.arrays[place] = tensors[content]
            elif content is not None:
                place = names.values[content]
                parts["results" if kind == "result" else "operands"][name] = place
                self.arrays[place] = values[content]
        folder, found = names.intermediates, {}
        if folder is not None:
            found = intermediate_values(instruction, values, tensors)
        parts["intermediates"] = {symbol: f"{folder}/{symbol}" for symbol in found}
        self.arrays |= {f"{folder}/{symbol}": array for symbol, array in found.items()}
        self.records.append({"op": instruction.op, **told, **parts})


def intermediate_values(
    instruction: Instruction, values: Mapping[str, Array], tensors: Tensors
) -> dict[str, Array]:
    """Return symbol -> int64 array: the intermediate values of an operation (`spec.trace`)."""
    with tracing() as trace:
        run_instruction(instruction, dict(values), tensors)
    return trace.arrays()


def little_endian(array: Array) -> Array:
    """Return the array in C order with little-endian elements."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def text_of(index: Told) -> bytes:
    """Return an index or a description as JSON text."""
    return msgspec.json.format(msgspec.json.encode(index), indent=1) + b"\n"
