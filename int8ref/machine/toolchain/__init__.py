"""Compiles the native code, keeps it, and loads it.

build.py       compiles the interpreter and the operations with Numba
compilers.py   several processes that do so together
sources.py     the digest of what native code depends on
objects.py     the form in which native code is kept
image.py       links object code to an image that is loaded without a compiler
executable.py  memory that code is run from
native.py      finds the code in the cache, or has it compiled
"""
