"""Golden vectors: inputs, outputs and intermediate values of operations, and the forms of files."""
