"""Code that several tests share is in a helper: no file imports from a test file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, and the imported names."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def is_of_a_test_file(name: str) -> bool:
    package, *parts = name.split(".")
    return package == "tests" and any(p == "conftest" or p.startswith("test_") for p in parts)


def test_no_file_imports_from_a_test_file() -> None:
    found = {path: list(filter(is_of_a_test_file, imports(path))) for path in TESTS.rglob("*.py")}
    assert len(found) > 100
    assert {path: names for path, names in found.items() if names} == {}
