"""The compiled backend: a Program becomes words of code over an arena, run by one native function.

assemble.py     Program -> code: opcodes, operand addresses, where every value lies in the arena
prepare.py      tensors -> the form that kernels read: packed weights, start values
packed.py       keeps packed weights
bounds.py       what token ids and lengths the tables take: checked before every run
frame.py        the few words that say where a batch's arenas are
call.py         the words that say what to run
interpreter.py  the loop over instructions
rows.py         the rows of a decoder step and their states
steps.py        the first step, every step, and the logits of a few rows
greedy.py       greedy search around the loop
forced.py       forced decoding: log-probabilities of given translations
sample.py       sampling: tokens drawn by their probability
beam.py         beam search, with choice.py (the likeliest tokens of a row) and ranking.py (what
                becomes of the hypotheses of a sentence)
hypotheses.py   the memory of a beam search
part.py         functions that are compiled on their own
entry.py        the one native function: does what a call asks for
cpu.py          the CPU that code is compiled for, with arm.py (what LLVM does not tell of it)
build.py        compiles the interpreter and the operations with Numba
compilers.py    several processes that do so together
image.py        links object code to an image that is loaded without a compiler
executable.py   memory that code is run from
native.py       compiles, keeps the code, loads it
engine.py       CompiledEngine
"""
