"""From texts to results, with scores and alignments, and golden vectors of a sentence."""
