"""Compiles, stores and loads the native code.

build.py       compiles the interpreter and the operations with Numba
compilers.py   several processes that compile together
sources.py     the digest of everything on which native code depends
objects.py     the format of stored native code
image.py       links object code to an image that loads without a compiler
executable.py  executable memory
native.py      loads the code from the cache, or compiles it
"""
