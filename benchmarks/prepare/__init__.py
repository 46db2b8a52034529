"""Preparations of the contestants, each run once: `python -m benchmarks.prepare.NAME ...`.

The Python environment that a file needs runs the file.
"""
