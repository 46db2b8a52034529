"""The compiled backend: a Program becomes words of code over an arena, run by one native function.

loop       native code: the interpreter and the searches
model      a Program and its tensors in the form that native code reads
memory     the memory of a call
toolchain  compiles the native code, keeps it, and loads it
"""
