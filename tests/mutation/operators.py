"""Single faults of a source file, made in its syntax tree.

Each fault changes one node: an operator, a comparison, a number, a condition, a pair of functions
such as min and max, or one statement that is left out.  No fault changes a text, a docstring, an
`assert` (a proof beside a constant), the message of an error, or a type of a parameter.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
FUNCTIONS = {
    "min": "max",
    "max": "min",
    "minimum": "maximum",
    "maximum": "minimum",
    "any": "all",
    "all": "any",
    "floor": "ceil",
    "ceil": "floor",
    "argmin": "argmax",
    "argmax": "argmin",
}
UNTOUCHED = (ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom, ast.arg)


@dataclass(frozen=True)
class Mutant:
    """A fault.  `where` names the function, `before` and `after` are the changed statement."""

    file: str
    where: str
    before: str
    after: str

    @property
    def key(self) -> str:
        """A text that names the mutant, also after other lines of the file have changed."""
        return f"{self.file} | {self.where} | {self.before} -> {self.after}"

    @property
    def digest(self) -> str:
        """A digest of the key."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Site:
    """A node with its place in its parent, its statement and its function."""

    node: ast.AST
    parent: ast.AST
    field: str
    index: int | None
    statement: ast.stmt
    where: str

    def put(self, node: Any) -> None:
        """Replace the node in its parent."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def mutants(file: str, source: str) -> Iterator[tuple[Mutant, str]]:
    """Yield (mutant, its whole source) for every single fault of a source."""
    tree = ast.parse(source)
    seen: dict[str, int] = {}
    for site in list(_sites(tree, "", None)):
        before = _head(site.statement)
        for node in _replacements(site.node):
            site.put(node)
            statement = node if site.node is site.statement else site.statement
            found = Mutant(file, site.where or "module", before, _head(statement))
            number = seen[found.key] = seen.get(found.key, 0) + 1
            if number > 1:
                found = Mutant(file, f"{found.where} ({number})", before, found.after)
            yield found, ast.unparse(ast.fix_missing_locations(tree))
            site.put(site.node)


def _sites(node: ast.AST, where: str, statement: ast.stmt | None) -> Iterator[_Site]:
    for field, index, child in _children(node):
        inside = child if isinstance(child, ast.stmt) else statement
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield from _sites(child, f"{where}.{child.name}".lstrip("."), child)
            continue
        if inside is not None:
            yield _Site(child, node, field, index, inside, where)
        if not isinstance(child, ast.Raise):  # its message is no behaviour
            yield from _sites(child, where, inside)


def _children(node: ast.AST) -> Iterator[tuple[str, int | None, ast.AST]]:
    for field, content in ast.iter_fields(node):
        if field in ("decorator_list", "returns", "bases", "keywords") and not isinstance(
            node, ast.Call
        ):
            continue
        children = content if isinstance(content, list) else [content]
        for index, child in enumerate(children):
            if isinstance(child, ast.AST) and not isinstance(child, UNTOUCHED):
                yield field, index if isinstance(content, list) else None, child


def _head(statement: ast.stmt) -> str:
    """The first line of a statement, or all of a simple one."""
    text = ast.unparse(statement)
    return text.splitlines()[0] if hasattr(statement, "body") else " ".join(text.split())


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left, [operator, *others], right) if type(operator) in COMPARISONS:
            yield ast.Compare(left, [COMPARISONS[type(operator)](), *others], right)
            for at, other in enumerate(others, 1):
                if type(other) in COMPARISONS:
                    changed = [operator, *others]
                    changed[at] = COMPARISONS[type(other)]()
                    yield ast.Compare(left, changed, right)
        case ast.BinOp(left, operator, right) if type(operator) in ARITHMETIC:
            yield ast.BinOp(left, ARITHMETIC[type(operator)](), right)
        case ast.AugAssign(target, operator, content) if type(operator) in ARITHMETIC:
            yield ast.AugAssign(target, ARITHMETIC[type(operator)](), content)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.USub() | ast.Not() | ast.Invert(), operand):
            yield operand
        case ast.Constant(bool() as truth):
            yield ast.Constant(not truth)
        case ast.Constant(int() as number):
            yield from (ast.Constant(number + 1), ast.Constant(number - 1))
        case ast.Name(name, context) if name in FUNCTIONS:
            yield ast.Name(FUNCTIONS[name], context)
        case ast.Attribute(owner, name, context) if name in FUNCTIONS:
            yield ast.Attribute(owner, FUNCTIONS[name], context)
        case ast.If(test, body, orelse):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Raise() | ast.Expr(ast.Call()):
            yield ast.Pass()
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()
