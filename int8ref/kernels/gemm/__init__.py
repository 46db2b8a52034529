"""Integer matrix multiplication, int8 by int8, exact on every CPU.

driver.py        the product in blocks, and its epilogue
chosen.py        one row times chosen rows of a weight
coarse.py        the largest output of each row, without most outputs
layout.py        packed weights and start values
scratch.py       the scratch memory of a product
target.py        the instruction sets
tile.py, dot.py  the micro-kernels
"""
