"""Search for the best translation, in integers."""
