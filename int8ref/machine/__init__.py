"""The compiled backend: a Program becomes rows of code, which one native function runs.

loop       native code: the interpreter and the searches
model      a Program and its tensors in the form that native code reads
memory     the memory of a call
toolchain  compiles, stores and loads the native code
"""
