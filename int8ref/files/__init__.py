"""Reads and writes files: models, shortlists and cached arrays.  Finds models by name."""
