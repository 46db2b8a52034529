"""The integer arithmetic, the form of an instruction, and the limits of a search."""
