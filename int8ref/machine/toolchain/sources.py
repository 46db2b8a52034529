"""The digest of everything on which native code depends: its sources, the compilers and the CPU.

The digest covers syntax trees without comments and docstrings, because an edit of comments or
docstrings changes no code.  To make these trees takes longer than a start may take.  Therefore the
cache stores the digest of the trees under the digest of the text.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from int8ref.host import installed
from int8ref.host.cpu import compilers, identity
from int8ref.host.states import recorded, state_of
from int8ref.host.storage import cache_folder, keep

SOURCES = (
    "abi",
    "kernels",
    "machine/loop",
    "machine/toolchain",
    "reference",
    "search",
    "spec",
)
"""Folders in the package."""


def digest() -> str:
    """Digest of everything on which native code depends."""
    root = str(installed.PACKAGE)
    paths = sorted(path for folder in SOURCES for path in Path(root, folder).rglob("*.py"))
    state = state_of(path.stat() for path in paths)
    name = f"sources {root} {sys.version} {paths}"
    found = recorded(name, state, lambda: _code_digest(_sources(paths)))
    return _sha256(json.dumps([found, *compilers(), sys.version, *identity()]))


def _sources(paths: Iterable[Path]) -> list[tuple[str, bytes]]:
    """Name and content of every source."""
    root = installed.PACKAGE
    return [(path.relative_to(root).as_posix(), path.read_bytes()) for path in paths]


def _code_digest(sources: list[tuple[str, bytes]]) -> str:
    """Digest of the syntax trees of the sources."""
    texts = [[name, hashlib.sha256(text).hexdigest()] for name, text in sources]
    path = cache_folder() / f"sources-{_sha256(json.dumps([texts, sys.version]))}.digest"
    try:
        found = path.read_text("ascii")
    except (OSError, ValueError):
        found = ""
    if len(found) != 32:
        found = _sha256(json.dumps([[name, code(text)] for name, text in sources]))
        keep(path, found.encode())
    return found


def code(text: bytes) -> str:
    """The syntax tree of a source, without its comments and docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                setattr(node, field, list(_without_texts(statements)))
    return ast.dump(tree)


def _without_texts(statements: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    for statement in statements:
        value = statement.value if isinstance(statement, ast.Expr) else None
        if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
            yield statement


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
