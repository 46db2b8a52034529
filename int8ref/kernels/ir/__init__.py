"""The compilation of kernels: Python functions with twins in LLVM's IR.

compile.py     the decorator of every kernel
lowering.py    Python functions whose compiled form is written in IR
vector.py      vectors, loops and variables in IR
arithmetic.py  the twins of `spec.arithmetic`
memory.py      copies
"""
