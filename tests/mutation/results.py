"""The results of mutation tests: a file with one line a mutant, and a table of them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.mutation.operators import Mutant
from tests.mutation.runner import SURVIVED

EQUIVALENT = Path(__file__).with_name("equivalent.toml")


class Results:
    """Results by mutant, in a file of JSON lines.  The last line of a mutant counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        records = [json.loads(line) for line in lines if line.endswith("}")]
        self._results = {record["mutant"]: record["result"] for record in records}

    def get(self, mutant: Mutant) -> str | None:
        """The result of a mutant, or None."""
        return self._results.get(mutant.digest)

    def add(self, mutant: Mutant, result: str, test: str) -> None:
        """Store a result at once; `test` is the test that failed first."""
        self._results[mutant.digest] = result
        record = {"mutant": mutant.digest, "result": result, "by": test, "key": mutant.key}
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def known() -> dict[str, str]:
    """The reason of each mutant that changes no behaviour, by its key."""
    if not EQUIVALENT.exists():
        return {}
    entries = tomllib.loads(EQUIVALENT.read_text("utf-8")).get("mutant", [])
    return {
        f"{entry['file']} | {entry['where']} | {change}": entry["reason"]
        for entry in entries
        for change in entry["changes"]
    }


def table(found: Mapping[str, Sequence[Mutant]], results: Results) -> str:
    """The results of each file, and the mutants that survived."""
    equivalent, lines, survivors = known(), [], []
    sums = [0] * 5
    for file, of_file in found.items():
        same = [m for m in of_file if m.key in equivalent]
        tried = [m for m in of_file if m.key not in equivalent and results.get(m)]
        alive = [m for m in tried if results.get(m) == SURVIVED]
        row = [len(of_file), len(tried), len(tried) - len(alive), len(alive), len(same)]
        sums = [a + b for a, b in zip(sums, row, strict=True)]
        lines.append(_row(file, row))
        survivors += [f"- {m.key}" for m in alive]
    head = ["| file | mutants | tried | killed | survived | equivalent | score |",
            "|---|---|---|---|---|---|---|"]  # fmt: skip
    told = ["", "Survivors:", *survivors] if survivors else []
    return "\n".join([*head, *lines, _row("all", sums), *told])


def _row(name: str, row: Sequence[int]) -> str:
    mutants, tried, killed, alive, same = row
    score = f"{1000 * killed // tried / 10:.1f} %" if tried else "-"
    return f"| {name} | {mutants} | {tried} | {killed} | {alive} | {same} | {score} |"
