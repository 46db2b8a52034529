"""The mutation tests themselves: their faults, their table of tests, their equivalent mutants."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.mutation.operators import mutants
from tests.mutation.results import Results, known, table
from tests.mutation.tested_by import AREAS, selected

ROOT = Path(__file__).parents[1]
FILES = [
    path.relative_to(ROOT).as_posix()
    for patterns in AREAS.values()
    for pattern in patterns
    for path in sorted(ROOT.glob(pattern))
]


def changes(source: str) -> set[str]:
    return {mutant.after for mutant, _ in mutants("f.py", source)}


@pytest.mark.parametrize(
    ("source", "after"),
    [
        ("x = a + b", {"x = a - b"}),
        ("x = a << b", {"x = a >> b"}),
        ("x += y", {"x -= y"}),
        ("x = a < b <= c", {"x = a <= b <= c", "x = a < b < c"}),
        ("x = 3", {"x = 4", "x = 2"}),
        ("x = True", {"x = False"}),
        ("x = -y", {"x = y"}),
        ("x = np.minimum(a, b)", {"x = np.maximum(a, b)"}),
        ("x = a and b", {"x = a or b"}),
        ("f(x)", {"pass"}),
        ("x = a if b else c", {"x = a if not b else c"}),
        ("if a:\n    raise E(f'{b + c}')", {"if not a:", "pass"}),
        ("assert 2 ** 3 < 9", set()),
        ("def f(x: T = 1) -> U[2]: ...", {"def f(x: T=2) -> U[2]:", "def f(x: T=0) -> U[2]:"}),
        ('"""A text of 3 words."""', set()),
    ],
)
def test_the_faults_of_a_statement(source: str, after: set[str]) -> None:
    assert changes(source) == after


def test_each_fault_is_single_and_leaves_the_rest() -> None:
    source = ast.unparse(ast.parse("def f(a):\n    return a + 1\n\ndef g(a):\n    return a + 1"))
    found = [changed for _, changed in mutants("f.py", source)]
    assert len(found) == len(set(found)) == 6
    assert all(
        sum(a != b for a, b in zip(source.split("\n"), c.split("\n"), strict=True)) == 1
        for c in found
    )


@cache
def keys_of(file: str) -> list[str]:
    """Return the keys of all mutants of a file."""
    return [mutant.key for mutant, _ in mutants(file, (ROOT / file).read_text("utf-8"))]


def test_keys_are_unique() -> None:
    for file in FILES:
        keys = keys_of(file)
        assert len(keys) == len(set(keys)), file


@pytest.mark.parametrize("file", FILES)
def test_every_file_has_tests(file: str) -> None:
    paths = [ROOT / test.split("::")[0] for test in selected(file)]
    assert paths
    assert all(path.exists() for path in paths)


def test_every_equivalent_mutant_exists() -> None:
    assert known().keys() <= {key for file in FILES for key in keys_of(file)}
    assert all(len(reason) > 20 for reason in known().values())


def test_results_are_kept_and_counted(tmp_path: Path) -> None:
    found = [mutant for mutant, _ in mutants("f.py", "x = a + 1")]
    results = Results(tmp_path / "results.jsonl")
    results.add(found[0], "killed", "tests/test_x.py::test")
    results.add(found[1], "survived", "")
    again = Results(tmp_path / "results.jsonl")
    assert [again.get(mutant) for mutant in found] == ["killed", "survived", None]
    shown = table({"f.py": found}, again)
    assert "| f.py | 3 | 2 | 1 | 1 | 0 | 50.0 % |" in shown
    assert f"- {found[1].key}" in shown
