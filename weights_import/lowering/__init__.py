"""The tools that lower operations: integer scales, integer weights, and the emitter."""
