"""The speed of two threads over the speed of one thread on a corpus."""

from __future__ import annotations

from benchmarks.environments import OWN, UnavailableError
from benchmarks.parts.part import Contestant, Part, Ratio
from benchmarks.parts.tiny11 import MODEL, ready
from benchmarks.rounds import Block, Case
from benchmarks.setting import Setting, words

SIZE, TIMES = 32, 4
"""Sentences of a batch, and multiple of the usual text.  More text gives more batches."""
ONE, TWO = "int8ref, 1 thread", "int8ref, 2 threads"
CONTESTANTS = tuple(
    Contestant(name, OWN, "int8ref_text", lambda _: {"model": MODEL}, ready, count)
    for count, name in ((1, ONE), (2, TWO))
)


def _blocks(setting: Setting) -> list[Block]:
    if len(setting.cpus) < 2:
        raise UnavailableError("there is one processor")
    text = setting.text(TIMES)
    cases = (
        Case(c.name, f"batch {SIZE}", work, words(text))
        for c in CONTESTANTS
        for work in ({"text": str(text), "size": SIZE, "threads": c.threads},)
    )
    return [Block("text", tuple(cases))]


PART = Part(
    name="threads",
    title="int8ref, published model en-pt: threads",
    unit="words/s",
    contestants=CONTESTANTS,
    blocks=_blocks,
    ratios=(Ratio(TWO, (ONE,)),),
)
