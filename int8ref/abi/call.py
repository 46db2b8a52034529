"""A call of the machine: a record that says what to run and on which memory."""

from __future__ import annotations

import numpy as np

RUN, GREEDY, BEAM, SCORE, SAMPLE = range(5)
"""Modes: run the code once; or encode with the code, then decode greedily, by beam search, along
given tokens, or along tokens that are drawn."""

FIELDS = (
    "mode",
    "frame",  # address of the frame
    "code",  # address and rows of the code to run (the encoder's, unless it is to run once)
    "code_rows",
    "decoder",  # address and rows of the decoder's code, which in greedy mode ends by writing ids
    "decoder_rows",
    "states",  # address and count of the states' operands
    "state_rows",
    "targets",  # address of the operands of target.ids, target.positions, target.sentence
    "eos",  # token id
    "multiplier",  # of the log-softmax, in sampling divided by the temperature
    "shift",
    "starts",  # address of int32 [sentences]: the tokens before the first
    "limits",  # address of int32 [sentences]: most tokens of each translation
    "out",  # address of int32 [sentences, pitch]: the translations, or log-probabilities
    "pitch",
    "lengths",  # address of int32 [sentences]: how many tokens were found or are given
    "given",  # address of int32 [sentences, pitch]: the tokens to follow, or the prefixes
    "given_lengths",  # address of int32 [sentences]: how long the prefixes are
    "head",  # address of room for a frame and a row of code
    "beam_size",
    "n_best",
    "penalties",  # address of int64 [most tokens + 1] (`search.length`)
    "hypotheses",  # address of a record of `abi.hypotheses`
    "candidates",  # address of int32: tokens that sentences may use, one after the other; 0: any
    "offsets",  # address of int32 [sentences + 1]: where those of each sentence begin
    "random",  # address of int32 [sentences, pitch]: random numbers in [0, 2^31)
    "weights",  # address of room for int64 [vocabulary]
    "top_k",  # see `search.sampling`
    "top_p",
)
CALL = np.dtype([(name, "i8") for name in FIELDS])
