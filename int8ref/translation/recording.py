"""Records golden vectors: the inputs and outputs of every operation for one sentence."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.engines.backends import Backend, load_engine
from int8ref.engines.reference import run_instruction
from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.program.inputs import Values, first_states, source_inputs, target_inputs
from int8ref.program.program import Program, takes_source
from int8ref.program.sizes import longest_translation, max_steps
from int8ref.reference import instructions
from int8ref.reference.argmax import Argmax
from int8ref.results import Unknown
from int8ref.spec import arithmetic
from int8ref.spec.instruction import Instruction
from int8ref.translation.direction import direction
from int8ref.translation.worker import tokenizers

INDEX = "vectors.json"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every file in an archive, so that the bytes depend only on the content."""
UNIX = 3
"""Operating system in the header of every archive, so that all systems write equal bytes."""


@dataclass
class Vectors:
    """The recorded operations in the order of computation, and their arrays.

    text      the recorded text
    source    token ids of the source with its frame.  Empty for a model without a source.
    target    token ids of the translation with eos, after the token of its language if the model
              has such tokens.  For a model without a source: of the text.
    records   for each operation: `op`, `sequence` ("encoder" or "decoder"), `step` of the decoder
              from 0 (else None), `constants` by field (None for an absent operand), and
              `operands` and `results` by field: names in `arrays`
    unknown   text that the vocabulary lacks (`results.Unknown`)
    arrays    int8, int16 and int32 arrays by name: model/NAME for constants of the model,
              encoder/NAME and decoder/STEP/NAME for values
    """

    text: str
    source: list[int] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    unknown: Unknown = ()

    def archive(self, model: str, sha256: str) -> bytes:
        """Return a NumPy archive (.npz, not compressed).  `INDEX` holds all data except the arrays.

        `model`: name of the model.  `sha256`: digest of its file.  `numpy.load` reads the archive.
        No member is a pickle.  Raises `UserError` for a name with "..", because unpacking could
        leave the folder.
        """
        index = {
            "arithmetic": arithmetic.VERSION,
            "model": model,
            "sha256": sha256,
            "text": self.text,
            "source": self.source,
            "target": self.target,
            "records": self.records,
        }
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as made:
            made.writestr(_member(INDEX), json.dumps(index, indent=1))
            for name in sorted(self.arrays):
                if ".." in re.split(r"[/\\]", name):  # unpacking could leave the folder
                    raise UserError(f"the model has a tensor or value of the name {name!r}")
                member = io.BytesIO()
                np.lib.format.write_array(member, self.arrays[name], allow_pickle=False)
                made.writestr(_member(f"{name}.npy"), member.getvalue())
        return content.getvalue()


def _member(name: str) -> zipfile.ZipInfo:
    """Return the header of a file in an archive, equal on every system."""
    made = zipfile.ZipInfo(name, EPOCH)
    made.create_system = UNIX
    return made


def record(
    model: Model,
    text: str,
    steps: int | None = None,
    ops: Sequence[str] | None = None,
    backend: Backend = "reference",
    languages: tuple[str | None, str | None] = (None, None),
) -> Vectors:
    """Record the greedy translation of a text, or for an encoder alone its output.

    A model without a source reads the text instead, token by token.  The backend changes no array.

    steps      largest number of steps of the decoder.  None: no limit.
    ops        names of the operations that are recorded.  None: all operations.
    languages  languages of the text and of its translation.  None: the default of the model.

    Raises `OptionError` if the model lacks a language, or needs one.  Raises `UserError` if int8ref
    or the model lacks an operation of `ops`, if the text has no tokens, or if the text has more
    tokens than the model accepts.
    """
    unknown = sorted(set(ops or ()) - set(instructions()))
    if unknown:
        raise UserError(f"no operation {unknown[0]!r}: there are {', '.join(instructions())}")
    program, tensors = model.program, model.tensors
    has = {i.op for i in [*program.encoder, *program.decoder, *search_operations(program)]}
    absent = sorted(set(ops or ()) - has)
    if absent:
        raise UserError(f"model {model.name} has no {absent[0]}: it has {', '.join(sorted(has))}")
    tokenizer = tokenizers(model)[0]
    tokens = list(tokenizer.encode(text))
    if not tokens:
        raise UserError("the text has no tokens")
    translates = takes_source(program)
    chosen = direction(model, *languages)
    frame = chosen.frame  # a model without a source also reads eos after the text
    limit = program.max_source_length if translates else max_steps(program, tensors)
    if len(tokens) > limit - frame.size:
        raise UserError(f"the text has {len(tokens)} tokens: the model takes {limit - frame.size}")
    recorder = _Recorder(model, text, ops, backend)
    recorder.found.unknown = tuple(tokenizer.unknown(text, tokens))
    text_ids = frame.around(tokens)
    if program.encodes:
        recorder.encode(text_ids)
        return recorder.found
    if not translates:
        recorder.decode([], text_ids[:steps])
        return recorder.found
    most = longest_translation(
        len(text_ids), program.max_length_factor, max_steps(program, tensors)
    )
    path = [*chosen.forced, *[None] * most]
    recorder.decode(text_ids, path[: min(max_steps(program, tensors), steps or len(path))])
    return recorder.found


def search_operations(program: Program) -> list[Instruction]:
    """Return the operations on the logits: of a step, argmax and log_softmax; of labels,
    log_softmax."""
    if program.encodes:
        return [program.softmax] if program.logits else []
    return [Argmax(x=program.logits, out="search.argmax"), program.softmax]


class _Recorder:
    """Runs one sentence, and records the selected operations."""

    def __init__(
        self, model: Model, text: str, ops: Sequence[str] | None, backend: Backend
    ) -> None:
        self._model = model
        self._kept = set(ops or instructions())
        self._engine = load_engine(model.program, model.tensors, backend, model.types)
        self._places: dict[str, str] = {}
        self.found = Vectors(text)

    def encode(self, source: list[int]) -> None:
        """Run an encoder alone, with the operations on its logits."""
        program = self._model.program
        self.found.source = source
        values: Values = {}
        self._engine.session([source], values.__setitem__)
        values |= source_inputs([source], taken=True)
        for instruction in search_operations(program):
            values |= run_instruction(instruction, values, self._model.tensors)
        sequence = [*program.encoder, *search_operations(program)]
        self._keep("encoder", None, sequence, values, values)

    def decode(self, source: list[int], path: Sequence[int | None]) -> None:
        """Run one step for each token of the path.

        A token that is None is the most likely token.  The run ends after such a token that is an
        end mark.
        """
        program = self._model.program
        self.found.source = source
        seen: Values = {}
        session = self._engine.session([source], seen.__setitem__)
        values = source_inputs([source], takes_source(program)) | seen
        self._keep("encoder", None, program.encoder, values, values)
        states, token = first_states(program, 1), program.start
        sentence = np.zeros(1, np.int32)
        for step, given in enumerate(path):
            ids = np.array([token], np.int32)
            inputs = target_inputs(ids, step, sentence) | states
            seen.clear()
            session.step(ids)
            new = inputs | seen
            for instruction in search_operations(program):
                new |= run_instruction(instruction, new, self._model.tensors)
            sequence = [*program.decoder, *search_operations(program)]
            self._keep("decoder", step, sequence, new, values | new)
            states = {state.value: seen[state.next_value] for state in program.states}
            token = int(new["search.argmax"][0]) if given is None else given
            self.found.target.append(token)
            if given is None and token in program.ends:
                return

    def _keep(
        self,
        sequence: str,
        step: int | None,
        instructions: Sequence[Instruction],
        new: Mapping[str, npt.NDArray[Any]],
        values: Mapping[str, npt.NDArray[Any]],
    ) -> None:
        """Record the operations of a sequence.

        `new`: the values of this sequence.  `values`: all values that the operations may name.
        """
        folder = sequence if step is None else f"{sequence}/{step}"
        self._places |= {name: f"{folder}/{name}" for name in new}
        for instruction in instructions:
            if instruction.op not in self._kept:
                continue
            told: dict[str, dict[str, Any]] = {"constants": {}, "operands": {}, "results": {}}
            for name, kind, content in instruction.operands():
                if kind == "result":
                    if content is not None:
                        told["results"][name] = self._place(content, values)
                elif kind == "constant" or content is None:
                    told["constants"][name] = content
                elif kind == "tensor":
                    place = told["operands"][name] = f"model/{content}"
                    self.found.arrays[place] = self._model.tensors[content]
                else:
                    told["operands"][name] = self._place(content, values)
            self.found.records.append(
                {"op": instruction.op, "sequence": sequence, "step": step} | told
            )

    def _place(self, name: str, values: Mapping[str, npt.NDArray[Any]]) -> str:
        """Record a value.  Return its name in `arrays`."""
        place = self._places[name]
        self.found.arrays[place] = values[name]
        return place
