"""A call of the machine: int64 words that say what to run and on which memory."""

from __future__ import annotations

RUN, GREEDY = range(2)
"""Modes: run the code once; or encode with the code, then decode greedily."""

(
    MODE,
    FRAME,  # address of the frame
    CODE,  # address and rows of the code to run (the encoder's, in greedy mode)
    CODE_ROWS,
    DECODER,  # address and rows of the decoder's code, which ends by writing target.ids
    DECODER_ROWS,
    STATES,  # address and count of the states' operands
    STATE_ROWS,
    TARGETS,  # address of the operands of target.ids, target.positions, target.sentence
    START,  # token ids
    EOS,
    LIMITS,  # address of int32 [sentences]: most tokens of each translation
    OUT,  # address of int32 [sentences, OUT_PITCH]: the translations
    OUT_PITCH,
    LENGTHS,  # address of int32 [sentences]: their lengths
    CALL_WORDS,
) = range(16)
