"""What the integers are: arithmetic, the form of an instruction, and limits."""
