"""From samples to tables: rounds, statistics, results, report."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import report
from benchmarks.client import WorkerError
from benchmarks.parts import PARTS
from benchmarks.parts.part import Contestant, Part, Ratio
from benchmarks.results import BlockResults, Results, ResultsError, Series, load, resume, save
from benchmarks.rounds import Block, Case, measure
from benchmarks.summary import geometric_mean, paired_ratio, summarize
from benchmarks.tables import Figures, groups, ratios_table, speeds_table, told

# Statistics.


positive = st.floats(1e-3, 1e3)


@given(st.lists(positive, min_size=2, max_size=9))
def test_a_summary_is_median_and_quartiles(samples: list[float]) -> None:
    found = summarize(samples)
    low, median, high = np.percentile(samples, (25, 50, 75))
    assert math.isclose(found.median, median)
    assert math.isclose(found.spread, (high - low) / 2 / median, abs_tol=1e-12)


def test_one_sample_has_no_spread() -> None:
    assert summarize([3.0]).spread == 0


@given(st.lists(st.tuples(positive, positive), min_size=1, max_size=9), positive)
def test_a_ratio_is_of_each_round(pairs: list[tuple[float, float]], slowdown: float) -> None:
    """A round in which all contestants are slower does not change the ratio."""
    over, under = zip(*pairs, strict=True)
    found = paired_ratio(over, under)
    assert math.isclose(found.median, float(np.median(np.divide(over, under))))
    slow = paired_ratio([over[0] * slowdown, *over[1:]], [under[0] * slowdown, *under[1:]])
    assert math.isclose(found.median, slow.median)


def test_geometric_mean() -> None:
    assert math.isclose(geometric_mean([1, 8]), math.sqrt(8))


# Rounds.


class FakeWorker:
    """Answers requests and records them."""

    def __init__(self, name: str, asked: list[str], fails_after: int = 1000) -> None:
        self.name, self.asked, self.left = name, asked, fails_after

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self.left -= 1
        if self.left < 0:
            raise WorkerError("broke")
        self.asked.append(self.name + request["do"][0])
        return {
            "output": "o" * 1000,
            "seconds": 1,
            "memory": 5,
            "wall": 2.0,
            "cpu": 1.0,
            "same": self.name != "B",
        }


def block(*names: str) -> Block:
    return Block("block", tuple(Case(name, "case", {}, 10) for name in names))


def test_contestants_take_turns() -> None:
    asked: list[str] = []
    workers = {name: FakeWorker(name, asked) for name in "ABC"}
    found = measure("part", block("A", "B", "C", "missing"), workers, 3, 0.1, lambda line: None)
    turns = ["Ap", "Bp", "Cp", "At", "Bt", "Ct", "Bt", "Ct", "At", "Ct", "At", "Bt"]
    assert asked == turns
    assert [s.contestant for s in found.series] == ["A", "B", "C"]
    assert all(s.wall == [2.0] * 3 and s.cpu == [1.0] * 3 for s in found.series)
    assert all(len(s.output) < 1000 for s in found.series)
    assert [s.same for s in found.series] == [True, False, True]


@pytest.mark.parametrize("after", [0, 1, 2])
def test_who_fails_is_left_out(after: int) -> None:
    workers = {"A": FakeWorker("A", []), "B": FakeWorker("B", [], after)}
    found = measure("part", block("A", "B"), workers, 2, 0.1, lambda line: None)
    assert [s.contestant for s in found.series] == ["A"]
    assert len(found.series[0].wall) == 2
    assert found.skipped == {"B, case": "broke"}


# Results.


SETTINGS = {"rounds": 2, "seconds": 0.3, "lines": 5, "only": ""}
MACHINE = {
    "cpu": "a CPU",
    "family_and_model": "1, 2",
    "features": ["avx2"],
    "processors": 2,
    "system": "Linux",
    "python": "3.11",
}


def some_results() -> Results:
    """Return two contestants on two cases, with ratios 2 and 4, and one missing contestant."""
    fast, slow = [1.0, 2.0], [2.0, 4.0]
    series = [
        Series("Ours", "batch 1", 100, 2000, "x", fast, fast),
        Series("Theirs", "batch 1", 100, 3000, "y", slow, slow),
        Series("Ours", "batch 8", 200, 9000, "x", fast, [0.5, 1.0]),
        Series("Theirs", "batch 8", 100, 3000, "y", slow, [1.0, 2.0]),
    ]
    found = BlockResults("fake", "block", series, {"Third": "not installed"})
    return Results(MACHINE, SETTINGS, {"theirs": "1.0"}, {"Ours": "AVX2"}, [found])


def test_results_come_back(tmp_path: Path) -> None:
    results = some_results()
    save(tmp_path, results)
    assert load(tmp_path) == results
    assert resume(tmp_path, Results(MACHINE, SETTINGS)) == results
    assert results.has("fake", "block")
    assert not results.has("fake", "other")


def test_results_of_other_conditions_are_not_continued(tmp_path: Path) -> None:
    fresh = Results(MACHINE, {**SETTINGS, "rounds": 9})
    assert resume(tmp_path, fresh) is fresh
    save(tmp_path, some_results())
    with pytest.raises(ResultsError, match=r"another settings \(rounds\)"):
        resume(tmp_path, fresh)
    with pytest.raises(ResultsError, match=r"another machine \(cpu\)"):
        resume(tmp_path, Results({**MACHINE, "cpu": "another"}, SETTINGS))


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 2}', '{"format": 1}'])
def test_what_are_no_results_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(ResultsError, match=r"results\.json"):
        load(tmp_path)


# Tables.


def contestant(name: str, **fields: Any) -> Contestant:
    return Contestant(name, "", "w", lambda setting: {}, **fields)


def fake_part(**fields: Any) -> Part:
    return Part(
        name="fake",
        title="A fake",
        unit="words/s",
        contestants=(contestant("Ours"), contestant("Theirs"), contestant("Third")),
        blocks=lambda setting: [],
        ratios=(Ratio("Ours", ("Theirs",)), Ratio("Ours", ("Third",))),
        **fields,
    )


def figures(clock: Any = "wall", **fields: Any) -> Figures:
    return Figures.of(fake_part(**fields), some_results().of("fake"), clock)


def test_speeds_are_units_by_time() -> None:
    assert speeds_table(figures()) == [
        "| words/s | batch 1 | batch 8 |",
        "| --- | ---: | ---: |",
        "| Ours | 75.0 ±17 % | 150 ±17 % |",
        "| Theirs | 37.5 ±17 % | 37.5 ±17 % |",
    ]
    assert speeds_table(figures(cases_are_rows=True))[2] == "| batch 1 | 75.0 ±17 % | 37.5 ±17 % |"
    assert "| Ours | 75.0 ±17 % | 300 ±17 % |" in speeds_table(figures("cpu"))
    threads = replace(fake_part(), contestants=(contestant("Ours", threads=2),))
    assert Figures.of(threads, [], "cpu").clock == "wall"


def test_ratios_are_of_speeds() -> None:
    assert ratios_table(figures()) == [
        "| ratio of speeds | batch 1 | batch 8 | mean |",
        "| --- | ---: | ---: | ---: |",
        "| Ours / Theirs | 2.00 ±0 % | 4.00 ±0 % | 2.83 |",
    ]
    turned = ratios_table(figures(cases_are_rows=True))
    assert turned[0] == "| ratio of speeds | Ours / Theirs |"
    assert turned[2:] == ["| batch 1 | 2.00 ±0 % |", "| batch 8 | 4.00 ±0 % |", "| mean | 2.83 |"]


def test_only_what_is_alike_is_averaged() -> None:
    cases = ["greedy, batch 1", "beam 4, batch 1", "greedy, batch 8", "start"]
    assert groups(cases) == {"mean, greedy": ["greedy, batch 1", "greedy, batch 8"]}
    assert groups(["8 tokens", "16 tokens"]) == {"mean": ["8 tokens", "16 tokens"]}


def test_a_ratio_over_several_is_over_the_faster() -> None:
    found = figures()
    both = Ratio("Theirs", ("Theirs", "Ours", "Third"))
    ratio = found.ratio(both, "batch 8")
    assert ratio is not None
    assert ratio.median == 0.25
    assert found.ratio(Ratio("Third", ("Ours",)), "batch 1") is None


def test_the_best_case_may_differ() -> None:
    found = figures(best=True)
    assert found.series["Ours", "best batch"].case == "batch 8"
    assert speeds_table(found)[0] == "| words/s | batch 1 | batch 8 |"
    assert ratios_table(found) == [
        "| ratio of speeds | batch 1 | best batch |",
        "| --- | ---: | ---: |",
        "| Ours / Theirs | 2.00 ±0 % | 4.00 ±0 % |",
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346 ±0 %"), (12.34, "12.3 ±0 %"), (0.1234, "0.123 ±0 %")]
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert told(summarize([value])) == text


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    def make(results: Results, **fields: Any) -> str:
        monkeypatch.setattr(report, "PARTS", {"fake": fake_part(**fields)})
        return report.markdown(results, "wall")

    return make


def test_the_report_tells_conditions_and_gaps(reported: Callable[..., str]) -> None:
    results = some_results()
    results.blocks[0].series[3].same = False
    text = reported(results, best=True, notes=lambda results: ["A note."])
    for line in (
        "a CPU (family and model 1, 2; avx2), 2 processors",
        "- Versions: theirs 1.0.",
        "- Ours: AVX2.",
        "2 rounds",
        "## A fake",
        "| Ours | 75.0 ±17 % | 150 ±17 % | batch 8 |",
        "| Ours | 2 | 9 |",
        "- A note.",
        "- Not the same output in each run: Theirs, batch 8.",
        "- Not measured: Third: not installed.",
        "The machine was not quiet: contestants had the processor 50 to 100 % of the time.",
    ):
        assert line in text, line


def test_a_quiet_machine_needs_no_warning(reported: Callable[..., str]) -> None:
    results = some_results()
    for series in results.blocks[0].series:
        series.cpu = series.wall
    assert "quiet" not in reported(results)


def test_plots_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra bench is not installed")
    from benchmarks import plot

    results = some_results()
    for part in ("tiny11", "length"):
        names = [c.name for c in PARTS[part].contestants]
        series = [Series(name, "batch 1", 9, 1, "", [1.0, 2.0], [1.0, 2.0]) for name in names]
        results.blocks.append(BlockResults(part, "block", series))
    plot.draw(tmp_path, results, "wall")
    for name in ("speed", "cost"):
        assert "</svg>" in (tmp_path / f"{name}.svg").read_text()
