"""Lowering: a float model and a calibration text become a Program and integer tensors.

This is one walk over the operations.  Each operation runs on the rows of the calibration text, then
it emits integer instructions.  Rows that no later operation reads are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from int8ref.program.program import Program, Tensors
from int8ref.program.sizes import USUAL_STEPS
from int8ref.reference.log_softmax import MAX_MULTIPLIER, MAX_SHIFT, LogSoftmax
from int8ref.spec.arithmetic import LOG_BITS, TANH_BITS
from weights_import.finite import quietly
from weights_import.float_model import FloatModel
from weights_import.float_program import FloatProgram, Operation
from weights_import.forward import step
from weights_import.id_batch import Ids
from weights_import.lowering.emitter import Emitter, Floats, whole
from weights_import.lowering.meaning import Meanings
from weights_import.lowering.observed import Observed
from weights_import.lowering.options import LoweringOptions
from weights_import.lowering.scale_propagation import (
    LOG2_E,
    cap_factors,
    largest_shift,
    told_where,
)
from weights_import.lowering.scaled import Scaled
from weights_import.operations.soft_cap import SoftCap
from weights_import.progress import Tell, silent
from weights_import.run import Batch, Memory, Run, Weights
from weights_import.tied_channels import proportions


@dataclass(frozen=True)
class Lowered:
    """A lowered model.

    program   the Program
    tensors   its integer tensors
    model     the float model, its tensors in the basis of the integers
    meanings  the float values that the values of the Program stand for
    """

    program: Program
    tensors: Tensors
    model: FloatModel
    meanings: Meanings


def lower(
    model: FloatModel,
    sources: Sequence[Ids],
    targets: Sequence[Ids],
    options: LoweringOptions,
    tell: Tell = silent,
) -> tuple[Program, Tensors]:
    """The Program that computes what `model` computes, and its tensors: see `lowered`."""
    found = lowered(model, sources, targets, options, tell)
    return found.program, found.tensors


@quietly
def lowered(
    model: FloatModel,
    sources: Sequence[Ids],
    targets: Sequence[Ids],
    options: LoweringOptions,
    tell: Tell = silent,
) -> Lowered:
    """The Program that computes what `model` computes, with what its values stand for.

    sources, targets   the calibration text: sources in their frame, targets without `eos`
    tell               takes the number of operations that are done, and the number of all

    Raises LoweringError if a number does not fit, and CheckpointError if the float model itself
    gives a number that is not finite.
    """
    observed = Observed()
    emitter = Emitter(_floats(model, options), observed, options)
    last = last_uses(model.program)
    weights = Weights(emitter.model.tensors)
    for i, (operation, run) in enumerate(_runs(model, weights, observed, sources, targets)):
        operation.prepare(emitter)
        if operation.out not in (model.program.logits, emitter.model.logits):
            observed.know(operation.out, step(run, operation, model.tensors))
        observed.rows |= run.notes
        with told_where(operation.out), emitter.emitting(operation):
            operation.lower(emitter)
        _note(emitter, operation)
        for name in (*last[operation.out], *(run.notes.keys() - last.keys())):
            observed.forget(name)
            emitter.weights.forget(name)
        run.notes.clear()
        tell(i + 1, len(model.program.operations))
    twin = replace(model, tensors=emitter.model.tensors)
    return Lowered(_program(model, emitter), emitter.tensors, twin, emitter.meanings)


def _note(emitter: Emitter, operation: Operation) -> None:
    """Note the meaning of the result of an operation; a soft cap has no integers of its own."""
    found = emitter.scaled.get(operation.out)
    if found is not None and not found.cap:
        emitter.meanings.note(found, operation.out)


def _floats(model: FloatModel, options: LoweringOptions) -> Floats:
    """The model as an emitter sees it; changes of basis leave `model` alone."""
    program, most = model.program, model.generation.max_positions
    last = program.producers().get(program.logits)  # an embedding has no logits
    return Floats(
        tensors=model.tensors.copy(),
        grids=dict(model.grids),
        producers=program.producers(),
        consumers=program.consumers(),
        encoder=frozenset(operation.out for operation in program.encoder),
        logits=last.x if isinstance(last, SoftCap) else program.logits,
        positions=min(options.positions, most or options.positions),
        tied={} if options.scales == "tensor" else proportions(program, model.tensors, model.grids),
        encodes=model.encodes,
    )


def _runs(
    model: FloatModel,
    weights: Weights,
    observed: Observed,
    sources: Sequence[Ids],
    targets: Sequence[Ids],
) -> Iterator[tuple[Operation, Run]]:
    """Each operation, and the run that it belongs to; the values of both are those observed."""
    start = model.generation.start
    source, target = Batch.of(sources), Batch.of([[start, *target] for target in targets])
    memory = Memory.of(observed.rows, source.offsets)
    encoder = Run(weights, source, values=observed.rows)
    decoder = Run(weights, target, memory, values=observed.rows)
    yield from ((operation, encoder) for operation in model.program.encoder)
    yield from ((operation, decoder) for operation in model.program.decoder)


def last_uses(program: FloatProgram) -> dict[str, list[str]]:
    """The values whose rows are not needed after each operation.

    A lazy operation is emitted with its consumers: they need its inputs too.
    """
    order = {operation.out: i for i, operation in enumerate(program.operations)}
    consumers = program.consumers()

    def last(name: str) -> int:
        ends = [
            max(order[one.out], last(one.out)) if one.lazy else order[one.out]
            for one in consumers[name]
        ]
        return max(ends, default=order[name])

    found: dict[str, list[str]] = {name: [] for name in order}
    names = list(order)
    for name in names:
        found[names[last(name)]].append(name)
    return found


def _program(model: FloatModel, emitter: Emitter) -> Program:
    if model.encodes:
        return _encoder(model, emitter)
    generation, logits = model.generation, emitter.scaled[model.program.logits]
    frame = generation.source_frame
    return Program(
        encoder=emitter.encoder,
        decoder=emitter.decoder,
        states=emitter.states,
        logits=logits.name,
        log_softmax=log_softmax(logits),
        start=generation.start,
        eos=generation.eos,
        unk=generation.unk,
        max_source_length=emitter.model.positions if model.translates else 0,
        max_length_factor=round(100 * generation.max_length_factor) if model.translates else 0,
        max_steps=_max_steps(emitter),
        alpha=round(100 * generation.alpha),
        source_frame=msgspec.UNSET if frame is None else frame,
        target_prefix=generation.target_prefix or msgspec.UNSET,
        more_eos=generation.more_eos or msgspec.UNSET,
        languages=generation.languages or msgspec.UNSET,
    )


def _max_steps(emitter: Emitter) -> int | msgspec.UnsetType:
    """The steps of a decoder with more positions than a Program has without the field."""
    positions = emitter.model.positions
    return positions if positions > USUAL_STEPS else msgspec.UNSET


def _encoder(model: FloatModel, emitter: Emitter) -> Program:
    """The Program of an encoder alone."""
    generation, program = model.generation, model.program
    output = emitter.scaled[program.output]
    return Program(
        encoder=emitter.encoder,
        decoder=[],
        states=[],
        logits=output.name if program.logits else "",
        log_softmax=log_softmax(output, "encoder") if program.logits else msgspec.UNSET,
        start=generation.start,
        eos=generation.eos,
        unk=generation.unk,
        max_source_length=emitter.model.positions,
        max_length_factor=0,
        source_frame=generation.frame,
        output=output.name,
    )


def log_softmax(logits: Scaled, stack: str = "decoder") -> LogSoftmax:
    """The instruction that makes log-probabilities of logits, which have one scale.

    If they have a soft cap, the instruction applies it first, and a unit is cap * 2^-30 behind it.
    At the largest multiplier, a unit of the logits is 1,024 octaves, and smaller probabilities are
    0 in any case.  At the smallest multiplier, it is 2^-36 of a unit of the result.
    """
    (scale,) = logits.scale
    cap: dict[str, int] = {}
    if logits.cap:
        turn, bits = cap_factors(logits.scale, logits.cap)
        cap = {"cap_multiplier": int(turn[0]), "cap_shift": bits}
        scale = logits.cap * 2.0**-TANH_BITS
    factor = float(scale) * LOG2_E * 2**LOG_BITS
    shift = max(largest_shift(factor, MAX_MULTIPLIER, MAX_SHIFT), 0)
    return LogSoftmax(
        x=logits.name,
        multiplier=max(whole(min(factor, MAX_MULTIPLIER), shift), 1),
        shift=shift,
        out=f"{stack}.log_softmax",
        **cap,
    )
