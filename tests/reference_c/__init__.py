"""The reference in C: its compilation, its results, and faults that are put into it."""
