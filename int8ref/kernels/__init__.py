"""Numba twins of `int8ref.reference`: one file for each operation, with the same name.

A kernel has the parameters of its reference function.  Then come the arrays that it writes (`out`,
...) and its `workspace`.  A kernel allocates nothing, raises nothing and reads no global state, so
that it can run without the interpreter.  A tensor that the reference takes per tensor or per
channel is per channel here.
"""
