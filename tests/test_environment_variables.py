"""The page of the environment variables names all variables that the code reads, and no others."""

from __future__ import annotations

import re

from tests.helpers.snippets import ROOT

PAGE = ROOT / "docs" / "reference" / "environment.md"
READ = re.compile(
    r'environ(?:\.get|\.setdefault|\.pop)?[(\[]\s*"([A-Z][A-Z0-9_]+)"'
    r'|"([A-Z][A-Z0-9_]+)" (?:not )?in os\.environ'
)
NAMED = re.compile(r"\b((?:INT8REF|NUMBA)_[A-Z_]+)\b")
SHELL = re.compile(r"\$\{([A-Z][A-Z0-9_]+):-")
FOLDERS = ("int8ref", "weights_import", "benchmarks", "training", "docs")
OTHERS = {"HOME", "XDG_CACHE_HOME", "PATH", "COLUMNS", "PYTHONPATH", "VIRTUAL_ENV"}
"""Variables of the system, which int8ref reads as every program does."""


def variables() -> set[str]:
    """Return the names that the code reads."""
    found = set()
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    for path in [*paths, ROOT / "hatch_build.py", ROOT / "tests" / "conftest.py"]:
        text = path.read_text("utf-8")
        found |= {name for match in READ.findall(text) for name in match if name}
        found |= {name for name in NAMED.findall(text) if f'"{name}"' in text}
    return found | set(SHELL.findall((ROOT / ".ci" / "run").read_text("utf-8")))


def test_the_page_names_all_variables() -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text("utf-8").splitlines() if "| `" in line]
    told = {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row)}
    assert told == variables() - OTHERS
