"""Subword regularisation: in every epoch other pieces for the same text (Kudo 2018)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sentencepiece


class Sampler:
    """Segmentations drawn with probability ~ p(pieces)^alpha, among all that the tokenizer has for
    a line: alpha = 1 is its unigram model, smaller is more even."""

    def __init__(self, tokenizer: Path, alpha: float) -> None:
        self.processor = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
        self.alpha = alpha

    def __call__(self, lines: Sequence[str], *seed: int) -> list[list[int]]:
        """Token ids of the lines: a function of the lines and the seed alone.

        SentencePiece has a generator a thread, which is seeded when it is first used; so this takes
        a thread of its own.
        """
        rows: list[list[int]] = []

        def draw() -> None:
            (state,) = np.random.SeedSequence(seed).generate_state(1)
            sentencepiece.set_random_generator_seed(int(state))
            options = {"enable_sampling": True, "alpha": self.alpha, "nbest_size": -1}
            rows.extend(self.processor.encode(line, **options) for line in lines)

        thread = threading.Thread(target=draw)
        thread.start()
        thread.join()
        return rows
