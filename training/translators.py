"""One interface to checkpoints of the recipe and model files of int8ref."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import sentencepiece

import int8ref
from training import evaluate, export
from training.prepare import EOS
from training.run_files import BEAMS
from training.search import translate

Translate = Callable[[list[str], int, int], list[str]]
"""Translates lines.  The numbers are the beam size (1: greedy search) and the batch size."""

BATCH = 64
"""Batch size of scoring.  It changes no result."""


def in_float(path: Path) -> Translate:
    """Return the translator of a checkpoint, in PyTorch's float32 with the search of the recipe."""
    model, described = export.load(path)
    tokenizer = sentencepiece.SentencePieceProcessor(
        model_file=str(path.parent / described["tokenizer"])
    )

    def run(lines: list[str], beam: int, batch: int) -> list[str]:
        rows = [[*ids, EOS] for ids in tokenizer.encode(lines)]
        return translate(model, tokenizer, rows, beam, batch)

    return run


def in_integers(path: Path, threads: int = 1) -> Translate:
    """Return the translator of a model file, in the compiled engine."""

    @cache
    def translator(batch: int) -> int8ref.Translator:
        found = int8ref.load(path, batch_size=batch, threads=threads)
        assert isinstance(found, int8ref.Translator)
        return found

    def run(lines: list[str], beam: int, batch: int) -> list[str]:
        found = translator(batch).stream(lines, int8ref.Options(beam_size=beam))
        return [result.text for result in found]

    return run


def translator(path: Path) -> Translate:
    """Return the translator of a file.

    A checkpoint has its tokenizer beside it.  A model file contains its tokenizers.
    """
    beside = path.with_name(f"{path.stem}.tokenizer.model").exists()
    return in_float(path) if beside else in_integers(path)


def scores(
    translate: Translate, name: str, source: list[str], target: list[str]
) -> dict[str, dict[str, float]]:
    """Return the scores on a test set, for greedy search and for the larger beam."""
    return {
        f"{name} beam {beam}": evaluate.of_translations(translate(source, beam, BATCH), target)
        for beam in BEAMS
    }
