"""A Program and its tensors in the form that native code reads.

assemble.py  Program -> code: opcodes and operands
places.py    the place of every value in the arena
prepare.py   tensors -> packed weights, start values, one factor for each channel
packed.py    stores packed weights in the cache
split.py     the number of sentences that are decoded at once
"""
