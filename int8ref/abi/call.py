"""A call of the machine: a record that names the task and the memory."""

from __future__ import annotations

import numpy as np

RUN, GREEDY, BEAM, SCORE, SAMPLE, HELP = range(6)
"""Modes.  RUN runs the code once.  The other modes encode with the code and then decode: by greedy
search, by beam search, along given tokens, or by sampling.  HELP helps the call of another thread
(`abi.team`)."""

FIELDS = (
    "mode",
    "frame",  # address of the frame
    "code",  # address and number of rows of the code: in RUN any code, else the encoder
    "code_rows",
    "decoder",  # address and number of rows of the decoder; in GREEDY its last row writes ids
    "decoder_rows",
    "shared_rows",  # number of the first rows of the decoder on which histories depend
    "block",  # largest number of given steps that run at once; 0: the decoder runs step by step
    "free",  # address and number of int32: the history slots that no text has (see `loop.texts`)
    "free_count",
    "slot_of",  # address of int32 [sentences]: the history slot of each text that is read
    "waiting",  # the first text that is not read to the end of its prefix
    "read",  # number of steps of this text that have run
    "states",  # address and number of the operands of the states
    "state_rows",
    "targets",  # address of the operands of target.ids, target.positions, target.sentence
    "ends",  # address and number of int32: the token ids that end a sentence
    "end_count",
    "multiplier",  # with `shift`: factor of the log-softmax; in SAMPLE divided by the temperature
    "shift",
    "cap_multiplier",  # with `cap_shift`: the soft cap of the logits; a shift of 0 is no cap
    "cap_shift",
    "starts",  # address of int32 [sentences]: the tokens before the first
    "limits",  # address of int32 [sentences]: largest number of tokens of each translation
    "out",  # address of int32 [sentences, pitch]: the translations, or log-probabilities
    "pitch",
    "lengths",  # address of int32 [sentences]: number of tokens that were found or are given
    "ended",  # address of int32 [sentences]: 1 for each text that is finished (see `loop.texts`)
    "given",  # address of int32 [sentences, pitch]: the tokens to follow, or the prefixes
    "given_lengths",  # address of int32 [sentences]: number of tokens of each prefix
    "head",  # address of room for a frame and a row of code
    "beam_size",
    "n_best",
    "penalties",  # address of int64 [largest number of tokens + 1] (`search.length`)
    "hypotheses",  # address of a record of `abi.hypotheses`
    "candidates",  # address of int32: candidates of all sentences, concatenated; 0: all tokens
    "offsets",  # address of int32 [sentences + 1]: first candidate of each sentence
    "random",  # address of int32 [sentences, pitch]: random numbers in [0, 2^31)
    "weights",  # address of room for int64 [vocabulary]
    "top_k",  # see `search.sampling`
    "top_p",
    "min_p",
    "adjustments",  # address of `abi.adjustments.ADJUSTMENT` [sentences]; 0: no sentence has any
    "stage",  # address of a record of `abi.adjustments.STAGE`
    "team",  # address of a record of `abi.team`; 0: the call has one thread
    "thread",  # in HELP: number of the thread in the team, from 1
)
CALL = np.dtype([(name, "i8") for name in FIELDS])
