"""The reference in C: its compilation, its vectors, its token ids, and faults that are put into it."""
