"""What contestants need before they start, made once: `python -m benchmarks.prepare.NAME ...`.

Each file is run by the Python environment that it needs.
"""
