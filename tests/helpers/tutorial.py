"""The tutorial notebook: `python -m tests.helpers.tutorial` runs its cells and stores the outputs.

A kernel of Jupyter runs the cells.  `tests/test_tutorial.py` runs the cells without a kernel, and
compares what they show with the stored outputs.
"""

from __future__ import annotations

import ast
import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import nbformat

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"
NAMES = ("text/plain", "text/html")
"""Forms of a value that are compared."""


def executed() -> Any:
    """Return the notebook after a kernel has run its cells."""
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, record_timing=False).execute()
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    return notebook


def shown(cell: str, names: dict[str, Any]) -> dict[str, str]:
    """Run a cell.  Return the text that it prints, and the forms of its last expression."""
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    out = io.StringIO()
    value = None
    with redirect_stdout(out):
        exec(compile(tree, "tutorial", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "tutorial", "eval"), names)
    found = {"stdout": out.getvalue()} if out.getvalue() else {}
    if value is not None:
        found["text/plain"] = repr(value)
        if hasattr(value, "_repr_html_"):
            found["text/html"] = value._repr_html_()
    return found


def stored(outputs: list[Any]) -> dict[str, str]:
    """Return the stored outputs of a cell in the form of `shown`."""
    found = {}
    for output in outputs:
        if output["output_type"] == "stream":
            found[output["name"]] = output["text"]
        else:
            found |= {name: output["data"][name] for name in NAMES if name in output["data"]}
    return found


if __name__ == "__main__":
    nbformat.write(executed(), NOTEBOOK)
