"""Native code: the loop over instructions, and the searches around it.

Numba compiles what is here.

interpreter.py  the loop over instructions
rows.py         the rows of a decoder step and their states
steps.py        the first step, every step, and the logits of a few rows
greedy.py       greedy search
sample.py       sampling
beam.py         beam search, with choice.py (the likeliest tokens of a row) and ranking.py (what
                becomes of the hypotheses of a sentence)
forced.py       log-probabilities of given translations
part.py         functions that are compiled on their own
entry.py        the one native function: does what a call asks for
"""
