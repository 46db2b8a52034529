"""Numba twins of `int8ref.reference`: one file an operation, same name, same first parameters.

A kernel takes the parameters of its reference function, then the arrays it writes (`out`, ...) and
its `workspace`.  It allocates nothing, raises nothing and reads no global state, so that it can run
without the interpreter.  Tensors that the reference takes per tensor or per channel come per
channel here.
"""
