"""What a model needs in hardware: bits of registers, multiplications, bytes, and native code."""
