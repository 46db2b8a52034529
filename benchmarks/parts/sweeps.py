"""Cost over the length of the source, and over the size of the batch."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.parts.part import Contestant, Part, Ratio
from benchmarks.parts.random_models import CT2_INT8, ORT_INT8, OURS, contestants, translation
from benchmarks.rounds import Block
from benchmarks.setting import Setting

LENGTHS = (8, 16, 32, 64, 128, 256, 512)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
LENGTH = 32

WHO = (("tiny11", OURS), ("small", OURS), ("small", CT2_INT8), ("small", ORT_INT8))


def _name(shape: str, engine: str) -> str:
    return f"{engine}, {shape}"


def _contestant(shape: str, engine: str) -> Contestant:
    return replace(contestants(shape)[engine], name=_name(shape, engine))


CONTESTANTS = tuple(_contestant(shape, engine) for shape, engine in WHO)
RATIOS = tuple(
    Ratio(_name("small", OURS), (_name("small", engine),)) for engine in (CT2_INT8, ORT_INT8)
)


def _block(name: str, sentences: int, length: int) -> Block:
    cases = (translation(_name(*who), name, who[0], sentences, length) for who in WHO)
    return Block(name, tuple(cases))


def _lengths(setting: Setting) -> list[Block]:
    return [_block(f"{length} tokens", 1, length) for length in LENGTHS]


def _batches(setting: Setting) -> list[Block]:
    return [_block(f"batch {size}", size, LENGTH) for size in BATCHES]


LENGTH_TITLE = "Speed against length: random models, greedy, batch 1, as many tokens out as in"
BATCH_TITLE = f"Speed against batch: random models, greedy, {LENGTH} tokens in and out"
SWEEP = Part("", "", "tokens/s", CONTESTANTS, _lengths, RATIOS, cases_are_rows=True)
"""The common fields of both sweeps."""
LENGTH_PART = replace(SWEEP, name="length", title=LENGTH_TITLE)
BATCH_PART = replace(SWEEP, name="batch", title=BATCH_TITLE, blocks=_batches)
