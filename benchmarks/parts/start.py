"""Time from the start of a process to its first translation, with warm caches."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.environments import OWN
from benchmarks.parts import tiny11
from benchmarks.parts.part import Contestant, Part, Ratio
from benchmarks.rounds import Block, Case
from benchmarks.setting import SENTENCE, Setting

OURS = "int8ref"
EMPTY = "Python that prints a line"


def _own_command(setting: Setting) -> dict[str, Any]:
    command = ["-m", "int8ref.translate", "--model", tiny11.MODEL, "--threads", "1", SENTENCE]
    return {"command": [setting.python(OWN), *command]}


def _empty(setting: Setting) -> dict[str, Any]:
    return {"command": [setting.python(OWN), "-c", "print(0)"]}


def _once(contestant: Contestant) -> Contestant:
    """Turn a contestant of the text benchmark into a process that translates one sentence."""

    def options(setting: Setting) -> dict[str, Any]:
        work = {"text": str(setting.sentence()), "size": 1}
        told = [json.dumps(contestant.options(setting)), "--once", json.dumps(work)]
        python = setting.python(contestant.environment)
        return {"command": [python, "-m", "benchmarks.workers", contestant.worker, *told]}

    return Contestant(contestant.name, OWN, "process", options, contestant.preparations)


CONTESTANTS = (
    Contestant(OURS, OWN, "process", _own_command, tiny11.ready),
    *(_once(peer) for peer in tiny11.CONTESTANTS if peer.environment != OWN),
    Contestant(EMPTY, OWN, "process", _empty),
)


def _blocks(setting: Setting) -> list[Block]:
    return [Block("one sentence", tuple(Case(c.name, "start", {}, 1) for c in CONTESTANTS))]


PART = Part(
    name="start",
    title="Process start to first translation, warm",
    unit="s",
    contestants=CONTESTANTS,
    blocks=_blocks,
    ratios=tuple(Ratio(OURS, (c.name,)) for c in CONTESTANTS if c.name not in (OURS, EMPTY)),
)
