"""Docstrings of the project for Sphinx: columns become definition lists, formulas stay as they are.

A docstring of the project has rows of a name, two or more spaces, and a text:

    beam_size  Keep N hypotheses in each step.
               1 is greedy search.

Indented lines after a paragraph are formulas.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes

import int8ref

ROW = re.compile(r'(?P<name>[\w."]+(?: or [\w."]+)*)(?P<gap>  +)(?P<text>\S.*)')


def converted(lines: list[str]) -> list[str]:
    """Return a docstring in reStructuredText."""
    out: list[str] = []
    rest = list(lines)
    while rest:
        row = ROW.fullmatch(rest[0])
        after_blank = not out or not out[-1]
        if row and (after_blank or _in_list(out)):
            body = [row["text"], *_indented(rest, len(row["name"] + row["gap"]))]
            out += [f"``{row['name']}``", *(f"    {line}".rstrip() for line in _prose(body))]
        elif rest[0].startswith("    ") and after_blank:
            block = [rest[0], *_indented(rest, 4, keep=True)]
            out += ["::", "", *block]
        else:
            out += _prose([rest.pop(0)])
    return out


def _in_list(out: list[str]) -> bool:
    """Whether the last line belongs to a definition list."""
    return out[-1].startswith("    ")


def _indented(rest: list[str], width: int, keep: bool = False) -> list[str]:
    """Take the first line, and return the lines after it that are blank or indented by `width`."""
    rest.pop(0)
    taken = []
    while rest and (not rest[0] or rest[0].startswith(" " * width)):
        taken.append(rest.pop(0) if keep else rest.pop(0)[width:])
    if taken and not taken[-1] and rest:
        rest.insert(0, "")
    return taken


def _prose(lines: list[str]) -> list[str]:
    """Return a paragraph, or a paragraph with formulas, in reStructuredText."""
    return lines if len(lines) == 1 else converted(lines)


def shown(
    app: object, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Replace the lines of a docstring."""
    lines[:] = converted(lines)


def public(
    app: Any, environment: Any, node: Any, content: nodes.TextElement
) -> nodes.Element | None:
    """Resolve the type of an annotation, such as int8ref.options.Options, by its public name."""
    name = node["reftarget"].rpartition(".")[2]
    if name not in int8ref.__all__ or not node["reftarget"].startswith("int8ref."):
        return None
    domain = environment.domains["py"]
    found = domain.resolve_any_xref(
        environment, node["refdoc"], app.builder, f"int8ref.{name}", node, content
    )
    return found[0][1] if found else None


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("autodoc-process-docstring", shown)
    app.connect("missing-reference", public)
    return {"parallel_read_safe": True}
