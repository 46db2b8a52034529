"""What all ways of decoding have in common: the first step, every step, and the logits of rows."""

from __future__ import annotations

import numpy as np

from int8ref.abi.call import (
    CANDIDATES,
    CODE,
    CODE_ROWS,
    DECODER,
    DECODER_ROWS,
    EOS,
    GIVEN,
    GIVEN_LENGTHS,
    HEAD,
    LENGTHS,
    LIMITS,
    OFFSETS,
    PITCH,
    STARTS,
)
from int8ref.abi.call import OUT as FOUND
from int8ref.abi.frame import (
    ADDRESS,
    BASE,
    CAPACITY,
    CODE_WORDS,
    FRAME_WORDS,
    ITEM,
    PREFIX,
    ROWS,
    SENTENCE,
    TARGET,
    WIDTH,
    WORKSPACE,
    operands_at,
)
from int8ref.kernels.gemm.chosen import row_chosen
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import address
from int8ref.kernels.views import address_of, array, set_word, word
from int8ref.machine.loop.interpreter import run
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import (
    TARGET_ROWS,
    begin_step,
    clear_states,
    move_states,
    target_input,
)
from int8ref.reference.linear import Linear

AT = operands_at(Linear)
X, WEIGHT, BIAS, OUT = (AT[f] for f in ("x", "weight", "bias", "out"))

HEAD_ROWS = 64
"""Rows whose logits are computed at once: they stay in the cache until they have been read."""


@part
def begin(frame: int, call: int) -> int:
    """Encode, and put each sentence into the row of its number; returns their number."""
    sentences: int = word(frame, SENTENCE + ROWS) - 1
    ids, sentence = target_input(frame, call, 0), target_input(frame, call, 2)
    run(word(call, CODE), word(call, CODE_ROWS), frame)
    set_word(frame, TARGET_ROWS, sentences)
    clear_states(frame, call)
    starts = array(word(call, STARTS), (sentences,), np.int32)
    for row in range(sentences):
        ids[row] = starts[row]
        sentence[row] = np.int32(row)
    return sentences


@kernel
def advance(frame, call, rows, position, instructions):
    """Run so many instructions of the decoder on the rows, which are all at one position."""
    begin_step(frame, call, rows, position)
    run(word(call, DECODER), instructions, frame)


@kernel
def keep(frame, call, row, target):
    """Move a row with its id, sentence and states to a row before it, or leave it where it is."""
    if target < row:
        ids, sentence = target_input(frame, call, 0), target_input(frame, call, 2)
        ids[target] = ids[row]
        sentence[target] = sentence[row]
        move_states(frame, call, row, target)


@part
def follow(frame: int, call: int, rows: int, step: int) -> int:
    """What follows from the ids of the rows, which are at a step: they are kept in OUT, but for eos
    and for those that are given, which take their place; returns how many rows go on."""
    sentences: int = word(frame, SENTENCE + ROWS) - 1
    limits = array(word(call, LIMITS), (sentences,), np.int32)
    lengths = array(word(call, LENGTHS), (sentences,), np.int32)
    given_lengths = array(word(call, GIVEN_LENGTHS), (sentences,), np.int32)
    given = array(word(call, GIVEN), (sentences, word(call, PITCH)), np.int32)
    out = array(word(call, FOUND), (sentences, word(call, PITCH)), np.int32)
    ids, sentence = target_input(frame, call, 0), target_input(frame, call, 2)
    eos = np.int32(word(call, EOS))
    going = 0
    for row in range(rows):
        token, index = ids[row], sentence[row]
        goes_on = step < given_lengths[index]
        if goes_on:
            ids[row] = given[index, step]
        else:
            at = step - given_lengths[index]
            lengths[index] = np.int32(at)
            if token != eos:
                out[index, at] = token
                lengths[index] = np.int32(at + 1)
                goes_on = lengths[index] < limits[index]
        if goes_on:
            keep(frame, call, row, going)
            going += 1
    return going


@kernel
def head(call):
    """Address of the decoder's last instruction, which gives the logits."""
    return word(call, DECODER) + (word(call, DECODER_ROWS) - 1) * CODE_WORDS * 8


@kernel
def head_width(call):
    """Logits of a row."""
    return word(head(call), OUT + WIDTH)


@kernel
def candidates(call, sentence):
    """The tokens that a sentence may use."""
    offsets = array(word(call, OFFSETS), (np.int64(sentence) + 2,), np.int32)
    first, last = np.int64(offsets[sentence]), np.int64(offsets[sentence + 1])
    return array(word(call, CANDIDATES) + first * 4, (last - first,), np.int32)


@kernel
def candidate_logits(frame, call, row):
    """The logits of a row's candidates, in the place of those of the first row.

    The weight of the last instruction is not packed then (`assemble` with `plain_head`).
    """
    code = head(call)
    tokens = candidates(call, target_input(frame, call, 2)[row])
    _multiply_candidates(frame, code, row, address(tokens, np.int32), len(tokens))
    return array(address_of(frame, code, OUT), (len(tokens),), np.int32)


@part
def _multiply_candidates(frame: int, code: int, row: int, tokens: int, count: int) -> None:
    depth = word(code, X + WIDTH)
    row_chosen(
        address_of(frame, code, X) + row * depth,
        depth,
        word(code, WEIGHT + ADDRESS),
        word(code, BIAS + ADDRESS),
        tokens,
        count,
        address_of(frame, code, OUT),
        word(frame, WORKSPACE),
    )


@part
def head_logits(frame: int, call: int, first: int, rows: int) -> int:
    """Run the decoder's last instruction on a few rows: the address of their logits.

    It runs as a copy with a frame of its own, in which a value lies where its prefix says.
    """
    code = head(call)
    own_frame = word(call, HEAD)
    own_code = own_frame + FRAME_WORDS * 8
    for i in range(FRAME_WORDS):
        set_word(own_frame, i, word(frame, i))
    for i in range(CODE_WORDS):
        set_word(own_code, i, word(code, i))
    set_word(own_frame, TARGET + BASE, 0)
    set_word(own_frame, TARGET + CAPACITY, 1)
    set_word(own_frame, TARGET + ROWS, rows)
    x = address_of(frame, code, X) + first * word(code, X + WIDTH) * word(code, X + ITEM)
    out: int = address_of(frame, code, OUT)
    set_word(own_code, X + PREFIX, x)
    set_word(own_code, OUT + PREFIX, out)
    run(own_code, 1, own_frame)
    return out
