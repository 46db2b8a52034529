"""Turns texts into results, with scores and alignments.  Records golden vectors of a sentence."""
