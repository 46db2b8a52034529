"""The operations of float programs, one file for each.

A file defines the float result of an operation, the changes of its inputs before calibration, and
its integer instructions.
"""
