"""The compiled backend: a Program becomes words of code over an arena, run by one native function.

    assemble.py     Program -> code: opcodes, operand addresses, where every value lies in the arena
    prepare.py      tensors -> the form that kernels read: packed weights, start values
    bounds.py       what token ids and lengths the tables take: checked before every run
    frame.py        the few words that say where a batch's arenas are
    views.py        operands -> arrays, inside compiled code
    interpreter.py  the loop over instructions, and greedy search around it
    cpu.py          the CPU that code is compiled for
    native.py       the interpreter as native code, kept as an object file
    engine.py       CompiledEngine
"""
