"""A Program and its tensors in the form that native code reads.

assemble.py  Program -> code: opcodes, operands, where every value lies in the arena
prepare.py   tensors -> packed weights, start values, one factor a channel
packed.py    keeps packed weights in the cache
split.py     how many sentences are decoded at once
"""
