"""The progress of an import, and the time that is left."""

from __future__ import annotations

import every_kind
import pytest

from int8ref.commands import console as consoles
from int8ref.commands.console import Console
from weights_import.calibrate import calibration, own_text
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions
from weights_import.progress import described, stage

SOURCES = [[3, 4, 5, 0], [6, 7, 0], [8, 0]]


@pytest.mark.parametrize(
    ("done", "total", "seconds", "told"),
    [
        (0, 5, 0.1, "lowering: 0 %"),
        (1, 3, 10.0, "lowering: 33 %, 20 s left"),
        (1, 10, 60.0, "lowering: 10 %, 9 min 0 s left"),
        (3, 3, 10.0, "lowering: 100 %, 0 s left"),
    ],
)
def test_the_time_left(done: int, total: int, seconds: float, told: str) -> None:
    assert described("lowering", done, total, seconds) == told


@pytest.mark.parametrize("kind", ["pre-norm", "llama"])
def test_each_stage_tells_what_is_done_up_to_the_end(kind: str) -> None:
    model = every_kind.random_model(kind)
    told: dict[str, list[tuple[int, int]]] = {"text": [], "calibration": [], "lowering": []}

    def tell(what: str, done: int, total: int) -> None:
        told[what].append((done, total))

    sentences = SOURCES
    if not model.translates:
        sentences = own_text(model, lambda done, total: tell("text", done, total))
    found = calibration(model, sentences, tell=lambda done, total: tell("calibration", done, total))
    lower(
        model, found.sources, found.targets, LoweringOptions(),
        lambda done, total: tell("lowering", done, total),
    )  # fmt: skip
    stages = ("calibration", "lowering") if model.translates else ("text", "lowering")
    for what in stages:
        done, totals = zip(*told[what], strict=True)
        assert list(done) == sorted(done)
        assert len(set(totals)) == 1
        assert done[0] >= 0
        assert done[-1] <= totals[0]
    assert told["lowering"][-1] == (len(model.program.operations),) * 2


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_shows_a_line_that_changes(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consoles, "_on_terminal", lambda: terminal)
    monkeypatch.setattr(consoles, "INTERVAL_SECONDS", 0)
    tell = stage(Console("info"), "lowering")
    tell(1, 4)
    tell(4, 4)
    told = capsys.readouterr().err
    assert told.startswith("int8ref: lowering ...\n")
    assert ("\rlowering: 25 %, 0 s left" in told) == terminal
    assert ("\rlowering: 100 %, 0 s left" in told) == terminal
