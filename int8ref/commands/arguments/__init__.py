"""Declares the options that the commands share, one group of options a file.

These modules import nothing that takes long, because --help and errors of usage must answer at
once.
"""
