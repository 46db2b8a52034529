"""Finds the float functions in Python source that the arithmetic of the importer forbids.

`weights_import/arithmetic/__init__.py` states the rule.  NumPy and `math` may change every function
that is not in the lists below with a version or with a processor.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

TYPES = {
    "dtype", "errstate", "floating", "float32", "float64", "inf", "int8", "int16", "int32", "int64",
    "integer", "intp", "nan", "pi", "uint8", "uint16", "uint32",
}  # fmt: skip
ARRANGING = {
    "arange", "array", "asarray", "ascontiguousarray", "broadcast_arrays", "broadcast_to",
    "concatenate", "diag_indices_from", "diagonal", "empty", "empty_like", "eye", "frombuffer",
    "full", "full_like", "ix_", "ndarray", "ones", "ravel", "repeat", "split", "stack", "tril",
    "unravel_index", "where", "zeros", "zeros_like",
}  # fmt: skip
ELEMENTWISE = {
    "abs", "ceil", "clip", "diff", "frexp", "isfinite", "isinf", "ldexp", "maximum", "minimum",
    "multiply", "nan_to_num", "negative", "outer", "rint", "sqrt",
}  # fmt: skip
"""Functions whose elements are exact or rounded once."""
COMPARING = {
    "all", "allclose", "any", "argmax", "argmin", "argsort", "array_equal", "count_nonzero",
    "flatnonzero", "lexsort", "max", "min", "searchsorted", "sort", "unique",
}  # fmt: skip
EXACT = {
    "ceil", "copysign", "factorial", "floor", "frexp", "inf", "isclose", "isfinite", "isinf",
    "isnan", "isqrt", "ldexp", "nan", "prod", "sqrt",
}  # fmt: skip
"""Of `math`.  `prod` multiplies from the first to the last number."""
ALLOWED = {
    "numpy": TYPES | ARRANGING | ELEMENTWISE | COMPARING | {"__version__", "typing"},
    "math": EXACT,
}
MODULES = {"cmath", "decimal", "jax", "random", "scipy", "statistics", "torch"}
METHODS = {
    "cumprod", "cumsum", "dot", "fma", "matmul", "mean", "prod", "reduce", "reduceat", "std", "sum",
    "trace", "var",
}  # fmt: skip
FUNCTIONS = {"complex", "pow", "sum"}
"""Since Python 3.12 the built-in `sum` of floats is compensated."""
RELAXED = {"fastmath", "parallel"}
INTEGERS = {"int8", "int16", "int32", "int64", "intp", "uint8", "uint16", "uint32", "uint64"}

Use = tuple[str, str]
"""The function, for example `Class.method`, or "" outside of one; and what it uses."""
Constants = Mapping[str, object]


def forbidden(source: str, constants: Constants | None = None) -> Iterator[Use]:
    """Yield each forbidden use in a module.

    `constants`: the values of its names in capitals.
    """
    scan = _Scan(constants or {})
    scan.visit(ast.parse(source))
    yield from scan.found


class _Scan(ast.NodeVisitor):
    def __init__(self, constants: Constants) -> None:
        self.found: list[Use] = []
        self._constants = constants
        self._modules: dict[str, str] = {}
        self._within: list[str] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._within.append(node.name)
        self.generic_visit(node)
        self._within.pop()

    visit_ClassDef = visit_FunctionDef  # type: ignore[assignment]  # noqa: N815

    def visit_Import(self, node: ast.Import) -> None:
        for one in node.names:
            self._imported(one.name)
            self._modules[one.asname or one.name.partition(".")[0]] = one.name

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        self._imported(module)
        for one in node.names:
            self._of_module(module, one.name)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name):
            self._of_module(self._modules.get(node.value.id, ""), node.attr)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Name(id=name) if name in FUNCTIONS:
                self._use(f"{name}()")
            case ast.Attribute(attr="argsort") if "stable" not in _text(node, "kind"):
                self._use("argsort() that is not stable")
            case ast.Attribute(value=ast.Name(id=base)) if base in self._modules:
                pass
            case ast.Attribute(attr="sum") if _text(node, "dtype").rpartition(".")[2] in INTEGERS:
                pass
            case ast.Attribute(attr=name) if name in METHODS:
                self._use(f".{name}()")
        for keyword in node.keywords:
            if keyword.arg in RELAXED:
                self._use(f"{keyword.arg}=")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._operator(node.op, node.left, node.right)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._operator(node.op, node.target, node.value)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, complex):
            self._use("complex()")

    def _imported(self, module: str) -> None:
        if module.partition(".")[0] in MODULES:
            self._use(f"import {module}")

    def _of_module(self, module: str, name: str) -> None:
        if module in ALLOWED and name not in ALLOWED[module]:
            self._use(f"{module}.{name}")

    def _operator(self, operator: ast.operator, left: ast.expr, right: ast.expr) -> None:
        if isinstance(operator, ast.MatMult):
            self._use("@")
        if isinstance(operator, ast.Pow) and not self._is_exact_power(left, right):
            self._use("**")

    def _is_exact_power(self, base: ast.expr, exponent: ast.expr) -> bool:
        """Whether constants make a power of integers, or a whole power of a power of two."""
        b, e = self._value(base), self._value(exponent)
        if b is None or e is None or e != int(e):
            return False
        return (isinstance(b, int) and isinstance(e, int) and e >= 0) or _is_power_of_two(b)

    def _value(self, node: ast.expr) -> int | float | None:
        """The number that a constant is, if it is known."""
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self._value(operand)
                return None if value is None else -value
            case ast.Name(id=name) if name.isupper():
                known = self._constants.get(name)
                return known if isinstance(known, int | float) else None
        return None

    def _use(self, what: str) -> None:
        self.found.append((".".join(self._within), what))


def _is_power_of_two(number: float) -> bool:
    return all(part > 0 and part & (part - 1) == 0 for part in number.as_integer_ratio())


def _text(call: ast.Call, keyword: str) -> str:
    """The source of a keyword argument; "" if it is absent."""
    return "".join(ast.unparse(one.value) for one in call.keywords if one.arg == keyword)
