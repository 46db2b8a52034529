"""A model as flat files, which a program in C or a testbench reads without a library."""
