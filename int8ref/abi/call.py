"""A call of the machine: int64 words that say what to run and on which memory."""

from __future__ import annotations

RUN, GREEDY, BEAM, SCORE, SAMPLE = range(5)
"""Modes: run the code once; or encode with the code, then decode greedily, by beam search, along
given tokens, or along tokens that are drawn."""

(
    MODE,
    FRAME,  # address of the frame
    CODE,  # address and rows of the code to run (the encoder's, unless it is to run once)
    CODE_ROWS,
    DECODER,  # address and rows of the decoder's code, which in greedy mode ends by writing ids
    DECODER_ROWS,
    STATES,  # address and count of the states' operands
    STATE_ROWS,
    TARGETS,  # address of the operands of target.ids, target.positions, target.sentence
    EOS,  # token id
    MULTIPLIER,  # of the log-softmax, in sampling divided by the temperature
    SHIFT,
    STARTS,  # address of int32 [sentences]: the tokens before the first
    LIMITS,  # address of int32 [sentences]: most tokens of each translation
    OUT,  # address of int32 [sentences, PITCH]: the translations, or log-probabilities
    PITCH,
    LENGTHS,  # address of int32 [sentences]: how many tokens were found or are given
    GIVEN,  # address of int32 [sentences, PITCH]: the tokens to follow, or those that come first
    GIVEN_LENGTHS,  # address of int32 [sentences]: how many come first
    HEAD,  # address of room for a frame and a row of code
    BEAM_SIZE,
    N_BEST,
    PENALTIES,  # address of int64 [most tokens + 1] (`search.length`)
    HYPOTHESES,  # address of the words of `hypotheses`
    CANDIDATES,  # address of int32: tokens that sentences may use, one after the other; 0: any
    OFFSETS,  # address of int32 [sentences + 1]: where those of each sentence begin
    RANDOM,  # address of int32 [sentences, PITCH]: random numbers in [0, 2^31)
    WEIGHTS,  # address of room for int64 [vocabulary]
    TOP_K,  # see `search.sampling`
    TOP_P,
    CALL_WORDS,
) = range(31)
