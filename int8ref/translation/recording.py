"""Records golden vectors: the inputs and outputs of every operation for a batch of sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.engines.backends import Backend, load_engine
from int8ref.engines.reference import run_instruction
from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.golden.vectors import Names, Sentence, Vectors
from int8ref.program.inputs import Values, first_states, source_inputs, target_inputs
from int8ref.program.program import Program, takes_source
from int8ref.program.sizes import longest_translation, max_steps
from int8ref.reference import instructions
from int8ref.reference.argmax import Argmax
from int8ref.spec.instruction import Instruction
from int8ref.translation.direction import direction
from int8ref.translation.worker import tokenizers


def record(
    model: Model,
    texts: str | Sequence[str],
    steps: int | None = None,
    ops: Sequence[str] | None = None,
    backend: Backend = "reference",
    languages: tuple[str | None, str | None] = (None, None),
    intermediates: bool = False,
    into: Vectors | None = None,
) -> Vectors:
    """Record the greedy translation of texts in one batch, or for an encoder alone its output.

    A model without a source reads the texts instead, token by token.  A sentence that has ended
    leaves the batch.  The backend changes no array.

    texts          a text, or several texts
    steps          largest number of steps of the decoder.  None: no limit.
    ops            names of the operations that are recorded.  None: all operations.
    languages      languages of the texts and of their translations.  None: the default of the
                   model.
    intermediates  whether the intermediate values of the operations are recorded (`spec.trace`)
    into           receives the records, instead of new vectors

    Raises `OptionError` if the model lacks a language, or needs one.  Raises `UserError` if int8ref
    or the model lacks an operation of `ops`, if a text has no tokens, or if a text has more tokens
    than the model accepts.
    """
    _check_ops(model, ops)
    given = [texts] if isinstance(texts, str) else list(texts)
    program, tokenizer = model.program, tokenizers(model)[0]
    tokens = [list(tokenizer.encode(text)) for text in given]
    if not all(tokens):
        raise UserError("the text has no tokens" if len(given) == 1 else "a text has no tokens")
    chosen = direction(model, *languages)
    steps_of_model = 0 if program.encodes else max_steps(program, model.tensors)
    limit = program.max_source_length if takes_source(program) else steps_of_model
    _check_lengths(tokens, limit - chosen.frame.size)
    recorder = _Recorder(model, given, ops, backend, intermediates, into)
    recorder.found.unknown = [
        tuple(tokenizer.unknown(text, found)) for text, found in zip(given, tokens, strict=True)
    ]
    framed = [chosen.frame.around(found) for found in tokens]  # also ends a text without a source
    if program.encodes:
        recorder.encode(framed)
    elif not takes_source(program):
        recorder.decode([[] for _ in framed], [ids[:steps] for ids in framed])
    else:
        factor = program.max_length_factor
        most = [longest_translation(len(ids), factor, steps_of_model) for ids in framed]
        paths = [[*chosen.forced, *[None] * length] for length in most]
        recorder.decode(framed, [path[:steps_of_model][:steps] for path in paths])
    return recorder.found


def _check_ops(model: Model, ops: Sequence[str] | None) -> None:
    """Raise `UserError` if int8ref or the model lacks an operation."""
    unknown = sorted(set(ops or ()) - set(instructions()))
    if unknown:
        raise UserError(f"no operation {unknown[0]!r}: there are {', '.join(instructions())}")
    program = model.program
    has = {i.op for i in [*program.encoder, *program.decoder, *search_operations(program)]}
    absent = sorted(set(ops or ()) - has)
    if absent:
        raise UserError(f"model {model.name} has no {absent[0]}: it has {', '.join(sorted(has))}")


def _check_lengths(sentences: Sequence[list[int]], limit: int) -> None:
    """Raise `UserError` if a sentence has more tokens than the model takes."""
    longest = max(map(len, sentences))
    if longest > limit:
        raise UserError(f"the text has {longest} tokens: the model takes {limit}")


def search_operations(program: Program) -> list[Instruction]:
    """Return the operations on the logits: of a step, argmax and log_softmax; of labels,
    log_softmax."""
    if program.encodes:
        return [program.softmax] if program.logits else []
    return [Argmax(x=program.logits, out="search.argmax"), program.softmax]


class _Recorder:
    """Runs a batch of sentences, and records the selected operations."""

    def __init__(
        self,
        model: Model,
        texts: Sequence[str],
        ops: Sequence[str] | None,
        backend: Backend,
        intermediates: bool,
        into: Vectors | None,
    ) -> None:
        self._model = model
        self._kept = set(ops or instructions())
        self._intermediates = intermediates
        self._engine = load_engine(model.program, model.tensors, backend, model.types)
        self._places: dict[str, str] = {}
        self.found = Vectors() if into is None else into
        self.found.sentences = [Sentence(text) for text in texts]

    def encode(self, sources: list[list[int]]) -> None:
        """Run an encoder alone, with the operations on its logits."""
        program = self._model.program
        self._set_sources(sources)
        values: Values = {}
        self._engine.session(sources, values.__setitem__)
        values |= source_inputs(sources, taken=True)
        for instruction in search_operations(program):
            values |= run_instruction(instruction, values, self._model.tensors)
        sequence = [*program.encoder, *search_operations(program)]
        self._keep("encoder", None, sequence, values, values)

    def decode(self, sources: list[list[int]], paths: Sequence[Sequence[int | None]]) -> None:
        """Run one step for each token of the longest path.

        A token that is None is the most likely token.  A sentence leaves the batch after such a
        token that is an end mark, and at the end of its path.
        """
        program = self._model.program
        self._set_sources(sources)
        seen: Values = {}
        session = self._engine.session(sources, seen.__setitem__)
        values = source_inputs(sources, takes_source(program)) | seen
        self._keep("encoder", None, program.encoder, values, values)
        states = first_states(program, len(sources))
        sentence = np.arange(len(sources), dtype=np.int32)
        ids = np.full(len(sources), program.start, np.int32)
        step = 0
        while len(sentence):
            inputs = target_inputs(ids, step, sentence) | states
            seen.clear()
            session.step(ids)
            new = inputs | seen
            for instruction in search_operations(program):
                new |= run_instruction(instruction, new, self._model.tensors)
            sequence = [*program.decoder, *search_operations(program)]
            self._keep("decoder", step, sequence, new, values | new)
            going, ids = self._choose(step, sentence, new["search.argmax"], paths)
            session.select(going)
            states = {state.value: seen[state.next_value][going] for state in program.states}
            sentence, step = sentence[going], step + 1

    def _choose(
        self,
        step: int,
        sentence: npt.NDArray[np.int32],
        likeliest: npt.NDArray[np.int32],
        paths: Sequence[Sequence[int | None]],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Add a token to the target of each row.  Return the rows that go on, and their tokens."""
        going, ids = [], []
        for row, index in enumerate(sentence.tolist()):
            given = paths[index][step]
            token = int(likeliest[row]) if given is None else given
            self.found.sentences[index].target.append(token)
            ended = given is None and token in self._model.program.ends
            if not ended and step + 1 < len(paths[index]):
                going.append(row)
                ids.append(token)
        return np.array(going, np.int64), np.array(ids, np.int32)

    def _set_sources(self, sources: list[list[int]]) -> None:
        for sentence, source in zip(self.found.sentences, sources, strict=True):
            sentence.source = source

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
        told = {"sequence": sequence, "step": step, "case": None}
        for number, instruction in enumerate(instructions):
            if instruction.op in self._kept:
                inside = f"intermediates/{folder}/{number}" if self._intermediates else None
                names = Names(self._places, "model", inside)
                self.found.add(instruction, told, values, self._model.tensors, names)
