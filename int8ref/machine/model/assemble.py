"""Assembler: a Program becomes code, with one row of words for each instruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.abi import scratch
from int8ref.abi.frame import (
    CODE_WORDS,
    HISTORY_PITCH,
    OPERAND_WORDS,
    PACKED,
    QUADS,
    START_SHIFT,
    STATE_WORDS,
    VALUE_PITCH,
    WIDE_POSITIONS,
    operand_places,
)
from int8ref.abi.fused import LinearArgmax, LinearCoarseArgmax
from int8ref.abi.opcodes import OPCODES
from int8ref.kernels.gemm.coarse_layout import coarse_workspace
from int8ref.kernels.gemm.scratch import workspace_bytes
from int8ref.machine.model.cuts import write_cuts
from int8ref.machine.model.histories import pitches
from int8ref.machine.model.places import Place, Places, places_of
from int8ref.machine.model.prepare import Array, Prepared, head, linears, start_shift
from int8ref.program.program import TARGET_INPUTS, Program, takes_source
from int8ref.reference.append import Append
from int8ref.reference.attention import Attention
from int8ref.reference.embed import Embed
from int8ref.reference.layer_norm import LayerNorm
from int8ref.reference.linear import Linear
from int8ref.reference.pool import Pool
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import DOMAINS
from int8ref.spec.scope import Domain, ValueType

Int64 = npt.NDArray[np.int64]


class Code(msgspec.Struct, frozen=True):
    """An assembled Program.

    encoder, decoder  rows of code
    greedy_decoder    the decoder with another last instruction, which writes the likeliest tokens
                      to target.ids instead of the logits
    shared_rows       see `shared_rows`
    states, targets   operands of the states and of the inputs of a step, one row for each
    places            the place of every value
    pitches           the columns of a piece of each history (`histories.pitches`)
    row_bytes         bytes of a row of each domain
    depth             largest number of inputs of a product
    attentions        for each attention: (columns of a head, heads in a group, window or 0)
    scratch_bytes     largest scratch memory of the other operations that does not depend on the
                      number of rows
    takes_source      see `program.takes_source`
    kept              the arrays whose addresses are in the code, which must stay alive
    """

    encoder: Int64
    decoder: Int64
    greedy_decoder: Int64
    states: Int64
    targets: Int64
    places: dict[str, Place]
    pitches: dict[str, int]
    row_bytes: dict[Domain, int]
    depth: int
    attentions: tuple[tuple[int, int, int], ...]
    scratch_bytes: int
    takes_source: bool
    shared_rows: int
    kept: list[npt.NDArray[Any]]

    def workspace_bytes(self, rows: int, keys: int) -> int:
        """Scratch memory that suffices for every instruction on `rows` rows that see at most
        `keys` keys.

        The fused products also store the largest output of each row there.
        """
        sums = [
            scratch.attention_bytes(width, group, min(keys, window or keys))
            for width, group, window in self.attentions
        ]
        return 4 * rows + max(self.scratch_bytes, workspace_bytes(rows, self.depth), *sums)


def assemble(
    program: Program,
    types: dict[str, ValueType],
    prepared: Prepared,
    keep_values: bool = False,
    plain_head: bool = False,
    coarse_head: bool = False,
) -> Code:
    """Assemble a valid Program, whose values have these types.

    keep_values  no two values share memory, so that all values can be read after the run; otherwise
                 memory is used again after the last use of its value
    plain_head   the weight of the last instruction is not packed; only candidates can be decoded,
                 and the largest weight is neither packed nor stored twice
    coarse_head  the weight of the last instruction is not packed, and `greedy_decoder` finds its
                 tokens by coarse weights; without effect if these are not useful on this CPU

    A table of embeddings that is also a packed weight is read in packed form, so that it is not
    stored twice.
    """
    last = head(program)
    coarse = prepared.coarse(last) if last is not None and coarse_head else None
    plain = [last] if last is not None and (plain_head or coarse is not None) else []
    places = places_of(program, types, keep_values)
    pieces = pitches(program, types)
    encoder = Assembler(places, prepared, plain, linears(program), pieces)
    decoder = encoder.code(program.decoder)
    greedy_decoder = decoder.copy()
    if last is not None:
        fused = encoder.fused_head if coarse is None else encoder.coarse_head
        greedy_decoder[-1] = fused(last)
    return Code(
        encoder=encoder.code(program.encoder),
        decoder=decoder,
        greedy_decoder=greedy_decoder,
        targets=np.array([places.by_name[name].words() for name in TARGET_INPUTS], np.int64),
        states=np.array(
            [
                [*places.by_name[state.value].words(), pieces.get(state.value, 0)]
                for state in program.states
            ],
            np.int64,
        ).reshape(-1, STATE_WORDS),
        places=places.by_name,
        pitches=pieces,
        row_bytes=places.row_bytes,
        depth=max((types[product.x].width for product in linears(program)), default=1),
        attentions=attentions((*program.encoder, *program.decoder)),
        scratch_bytes=max(
            coarse_workspace(coarse) if coarse else 0,
            *(scratch_bytes(i, types) for i in (*program.encoder, *program.decoder)),
        ),
        takes_source=takes_source(program),
        shared_rows=shared_rows(program),
        kept=encoder.kept,
    )


def shared_rows(program: Program) -> int:
    """The number of the first instructions of the decoder on which histories depend.

    Given tokens need no other instructions, and several of their steps may run at once, each as a
    row.  The number is 0 if the decoder has no history, or a state of another kind, because such a
    state passes from step to step.
    """
    if any(state.domain != "history" for state in program.states):
        return 0
    written = {state.next_value for state in program.states}
    places = enumerate(program.decoder, 1)
    return max((n for n, i in places if not written.isdisjoint(i.names("result"))), default=0)


def attentions(sequence: Sequence[Instruction]) -> tuple[tuple[int, int, int], ...]:
    """The different forms of attention, see `Code.attentions`."""
    found = (i for i in sequence if isinstance(i, Attention))
    return tuple({(i.head_width, i.group or 1, i.window or 0): None for i in found})


def scratch_bytes(instruction: Instruction, types: dict[str, ValueType]) -> int:
    """The scratch memory of an instruction, without the memory of products and attentions."""
    width = types[instruction.names("result")[0]].width
    if isinstance(instruction, LayerNorm):
        return scratch.norm_bytes(width)
    if isinstance(instruction, Pool):
        return scratch.pool_bytes(width)
    return scratch.embed_bytes(width) if isinstance(instruction, Embed) else 0


class Assembler:
    """Encodes instructions; `kept` are the arrays whose addresses are in the code.

    `plain` are the products whose weights are not packed.  `products` are all products of the
    Program, whose weights may also be tables of embeddings.  `pieces` are the columns of a piece of
    each history.
    """

    def __init__(
        self,
        places: Places,
        prepared: Prepared,
        plain: Sequence[Instruction] = (),
        products: Sequence[Linear] = (),
        pieces: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.kept: list[Array] = []
        self._pieces = pieces
        self._places, self._prepared, self._plain = places, prepared, plain
        self._packed = {p.weight for p in products} - {p.weight for p in plain}  # type: ignore[attr-defined]

    def code(self, sequence: Sequence[Instruction]) -> Int64:
        """One row of code for each instruction."""
        rows = np.zeros((len(sequence), CODE_WORDS), np.int64)
        for row, instruction in zip(rows, sequence, strict=True):
            self._encode(instruction, row)
        return rows

    def fused_head(self, last: Linear) -> Int64:
        """The row of the product that gives the logits, in the form that writes the likeliest
        tokens."""
        tensors = self._prepared.operands(last, last in self._plain)
        row = np.zeros(CODE_WORDS, np.int64)
        self._write_product(last, tensors, row)
        fused = LinearArgmax(
            x=last.x,
            weight=last.weight,
            bias=last.bias,
            columns=self._places.by_name[last.out].width,
            out="target.ids",
        )
        self._write_cuts(last, row)
        self._write(fused, tensors, row)
        return row

    def coarse_head(self, last: Linear) -> Int64:
        """As `fused_head`, with coarse weights."""
        coarse, tensors = self._prepared.coarse(last), self._prepared.operands(last, True)
        assert coarse is not None
        fused = LinearCoarseArgmax(
            x=last.x,
            weight=last.weight,
            start=last.bias,
            coarse=last.weight,
            coarse_start=last.bias,
            length=coarse.length,
            columns=self._places.by_name[last.out].width,
            out="target.ids",
        )
        given: dict[str, Array] = {"coarse": coarse.weight, "coarse_start": coarse.start}
        row = np.zeros(CODE_WORDS, np.int64)
        self._write(fused, given | {"weight": tensors["weight"], "start": tensors["bias"]}, row)
        return row

    def _encode(self, instruction: Instruction, row: Int64) -> None:
        tensors = self._prepared.operands(instruction, instruction in self._plain)
        if isinstance(instruction, Linear):
            self._write_product(instruction, tensors, row)
        if isinstance(instruction, Embed) and instruction.table in self._packed:
            row[PACKED] = 1
            tensors = {**tensors, "table": self._prepared.packed(instruction.table)}
        if isinstance(instruction, Embed) and "position_table" in tensors:
            row[WIDE_POSITIONS] = tensors["position_table"].dtype == np.int16
        if isinstance(instruction, Append):
            row[HISTORY_PITCH] = self._pitch(instruction.next_history)
        if isinstance(instruction, Attention):
            row[HISTORY_PITCH] = self._pitch(instruction.key)
            row[VALUE_PITCH] = self._pitch(instruction.value)
        self._write_cuts(instruction, row)
        self._write(instruction, tensors, row)

    def _write_cuts(self, instruction: Instruction, row: Int64) -> None:
        depth = self._places.by_name[instruction.x].width if isinstance(instruction, Linear) else 0
        write_cuts(instruction, self._places.by_name, depth, row)

    def _pitch(self, name: str) -> int:
        """The columns of a piece of a value; a value that is no history has one piece."""
        return self._pieces.get(name, self._places.by_name[name].width)

    def _write_product(self, product: Linear, tensors: dict[str, Array], row: Int64) -> None:
        """Write the words of a product that are not operands."""
        row[QUADS] = self._prepared.quads(product, product in self._plain)
        row[START_SHIFT] = start_shift(product, tensors["bias"])

    def _write(self, instruction: Instruction, tensors: dict[str, Array], row: Int64) -> None:
        """Write the opcode and the operands."""
        self.kept.extend(tensors.values())
        row[0] = OPCODES[instruction.op]
        places = operand_places(type(instruction))
        for field, kind, content in instruction.operands():
            words = self._words(kind, content, tensors.get(field), instruction)
            first = places[field]
            row[first : first + OPERAND_WORDS[kind]] = words

    def _words(
        self, kind: str, content: Any, tensor: Array | None, instruction: Instruction
    ) -> list[int]:
        """The words of an operand; for an absent operand zeros, except the domain of an absent
        result."""
        if kind == "constant":
            return [0 if content is None else content]
        if kind == "tensor":
            return [0, 0] if tensor is None else [tensor.ctypes.data, len(tensor)]
        if content is not None:
            return self._places.by_name[content].words()
        if kind == "value":
            return [0, 0, 0, 0]
        first = self._places.by_name[instruction.names("result")[0]]
        return [DOMAINS.index(first.domain), 0, 0, 0]
