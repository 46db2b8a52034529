"""Native code: the loop over instructions, and the searches around it.

Numba compiles the functions of this folder.

interpreter.py  the loop over instructions
dispatch.py     the call of an operation
team.py         several threads on one instruction
marshal.py      the arguments of the kernels
rows.py         the rows of a decoder step and their states
steps.py        the first step, every step, and the logits of a few rows
greedy.py       greedy search
sample.py       sampling
adjust.py       the adjustments of the logits of a row
beam.py         beam search
choice.py       beam search: the likeliest tokens of each row
ranking.py      beam search: the next hypotheses of a sentence
hypotheses.py   the records of a beam search
forced.py       log-probabilities of given translations
part.py         functions that are compiled separately
entry.py        the entry function, which runs a call
"""
