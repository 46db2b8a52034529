"""Speed of int8ref and of comparable engines, measured in one interleaved run."""
