"""Reads and writes text: lines, streams, tokenizers, batches, and decimal numbers."""
