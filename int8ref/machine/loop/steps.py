"""The shared part of all decoding: the first step, every step, and the logits of rows."""

from __future__ import annotations

import numpy as np

from int8ref.abi.frame import (
    ADDRESS,
    CODE_BYTES,
    CODE_WORDS,
    FRAME,
    ITEM,
    PREFIX,
    WIDTH,
    operands_at,
)
from int8ref.kernels.gemm.chosen import Chosen, row_chosen
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import address
from int8ref.kernels.views import address_of, array, frame_at, word
from int8ref.machine.loop.interpreter import run
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import (
    call_at,
    clear_states,
    ids_of,
    move_states,
    place_row,
    positions_of,
    sentence_of,
    set_position,
    slots_of,
    vector,
)
from int8ref.reference.linear import Linear

AT = operands_at(Linear)
FRAME_BYTES = FRAME.itemsize
FRAME_WORDS = FRAME_BYTES // 8

HEAD_ROWS = 64
"""Number of rows whose logits are computed at once, so that the logits stay in the cache until they
are read."""


@kernel
def sentences_of(frame):
    """Number of sentences."""
    return frame_at(frame).sentence_rows


@part
def encode(frame: int, call: int) -> int:
    """Encode, and make all states empty.  Returns the number of sentences."""
    sentences: int = sentences_of(frame)
    run(call_at(call).code, call_at(call).code_rows, frame)
    clear_states(frame, call, sentences)
    return sentences


@part
def begin(frame: int, call: int) -> int:
    """Encode, read the prefixes, and put each sentence into the row of its number at its first
    position.  Returns the number of sentences."""
    sentences: int = encode(frame, call)
    in_blocks(_read, _steps_of_prefix, frame, call)
    slots = slots_of(frame)
    for row in range(len(slots)):
        slots[row] = np.int32(row)
    for row in range(sentences):
        place_row(frame, call, row, row, row, first_position(call, row))
    return sentences


@kernel
def first_position(call, index):
    """The position at which the steps of a sentence begin: after its prefix, if the prefix is read
    in blocks; else 0."""
    position = np.int64(0)
    if call_at(call).block != 0:
        position = np.int64(vector(call_at(call).given_lengths, index + 1)[index])
    return position


@kernel
def chosen_count(frame, call, row):
    """The number of tokens that the search has chosen for a row; negative within its prefix."""
    index = sentence_of(frame, call)[row]
    given = vector(call_at(call).given_lengths, index + 1)[index]
    return np.int64(positions_of(frame, call)[row]) - np.int64(given)


@kernel
def in_blocks(run_rows, steps_of, frame, call):
    """Run given steps of all sentences in blocks of rows; the slot of a sentence is its number.

    steps_of(call, index) is (first, stop) of the positions of a sentence.  run_rows(frame, call,
    rows) runs a block.
    """
    block, count = call_at(call).block, 0
    for index in range(sentences_of(frame)):
        first, stop = steps_of(call, index)
        for position in range(first, stop):
            place_row(frame, call, count, index, index, position)
            count += 1
            if count == block:
                run_rows(frame, call, count)
                count = 0
    if count > 0:
        run_rows(frame, call, count)


@kernel
def _steps_of_prefix(call, index):
    """The positions of a prefix that is read in blocks."""
    return np.int64(0), first_position(call, index)


@part
def _read(frame: int, call: int, rows: int) -> None:
    """Run the instructions on which histories depend."""
    advance(frame, call, rows, call_at(call).shared_rows)


@kernel
def advance(frame, call, rows, instructions):
    """Run the first `instructions` instructions of the decoder on the rows."""
    frame_at(frame).target_rows = rows
    run(call_at(call).decoder, instructions, frame)


@kernel
def advance_to_head(frame, call, rows):
    """Run the decoder without its last instruction, which gives the logits."""
    advance(frame, call, rows, call_at(call).decoder_rows - 1)


@kernel
def move_row(frame, call, row, target, position):
    """Move a row with its id, sentence, slot and states to an earlier row, at its next position."""
    if target < row:
        ids, sentence, slots = ids_of(frame, call), sentence_of(frame, call), slots_of(frame)
        ids[target] = ids[row]
        sentence[target] = sentence[row]
        slots[target] = slots[row]
        move_states(frame, call, row, target)
    set_position(frame, call, target, position)


@kernel
def head(call):
    """Address of the decoder's last instruction, which gives the logits."""
    return call_at(call).decoder + (call_at(call).decoder_rows - 1) * CODE_BYTES


@kernel
def head_width(call):
    """Number of logits of a row."""
    return word(head(call), AT.out + WIDTH)


@kernel
def candidates(call, sentence):
    """The candidates of a sentence."""
    offsets = vector(call_at(call).offsets, np.int64(sentence) + 2)
    first, last = np.int64(offsets[sentence]), np.int64(offsets[sentence + 1])
    return vector(call_at(call).candidates + first * 4, last - first)


@kernel
def candidate_logits(frame, call, row):
    """The logits of the candidates of a row, at the place of the logits of the first row.

    The weight of the last instruction must not be packed (`assemble` with `plain_head`).
    """
    code = head(call)
    tokens = candidates(call, sentence_of(frame, call)[row])
    _multiply_candidates(frame, code, row, address(tokens, np.int32), len(tokens))
    return array(address_of(frame, code, AT.out), (len(tokens),), np.int32)


@part
def _multiply_candidates(frame: int, code: int, row: int, tokens: int, count: int) -> None:
    depth = word(code, AT.x + WIDTH)
    chosen = Chosen(
        x=address_of(frame, code, AT.x) + row * depth,
        depth=depth,
        weight=word(code, AT.weight + ADDRESS),
        start=word(code, AT.bias + ADDRESS),
        tokens=tokens,
        count=count,
    )
    row_chosen(chosen, address_of(frame, code, AT.out), frame_at(frame).workspace)


@part
def head_logits(frame: int, call: int, first: int, rows: int) -> int:
    """Run the decoder's last instruction on a few rows.  Returns the address of their logits.

    A copy of the instruction runs with a frame of its own.  In this frame the base is 0 and the
    capacity 1, so that the prefix of a value is its address.
    """
    code = head(call)
    own_frame = call_at(call).head
    own_code = own_frame + FRAME_BYTES
    _copy_words(frame, own_frame, FRAME_WORDS)
    _copy_words(code, own_code, CODE_WORDS)
    own = frame_at(own_frame)
    own.target_base, own.target_capacity, own.target_rows = 0, 1, rows
    out: int = address_of(frame, code, AT.out)
    x = address_of(frame, code, AT.x) + first * word(code, AT.x + WIDTH) * word(code, AT.x + ITEM)
    words = array(own_code, (np.int64(CODE_WORDS),), np.int64)
    words[AT.x + PREFIX] = x
    words[AT.out + PREFIX] = out
    run(own_code, 1, own_frame)
    return out


@kernel
def _copy_words(source, target, count):
    old = array(source, (np.int64(count),), np.int64)
    new = array(target, (np.int64(count),), np.int64)
    for i in range(count):
        new[i] = old[i]
