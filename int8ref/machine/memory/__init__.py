"""The memory of a call.

aligned.py     pieces of memory that begin at cache lines
arena.py       the values of a batch
hypotheses.py  the hypotheses of a beam search
"""
