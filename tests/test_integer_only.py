"""Scans the source of the engine: no float, no true division, and no `math`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import int8ref

ROOT = Path(int8ref.__file__).parent
ENGINE = (
    "spec", "reference", "program", "search", "abi", "kernels", "machine", "engines",
    "translation/alignment.py", "auditing",
)  # fmt: skip
NOT_SCANNED = {ROOT / "machine" / "toolchain" / name for name in ("native.py", "sources.py")}
"""Files that compile and load the machine.  They touch no data, and join paths with `/`."""

NUMBERS = {"np", "numpy", "nb", "numba", "types", "ir", "operator"}
FLOAT_MODULES = {"math", "cmath", "decimal", "fractions", "statistics", "random"}
FLOAT_TYPES = {
    "half", "single", "double", "longdouble", "float_", "float16", "float32", "float64",
    "float128", "bfloat16", "floating", "inexact", "complex64", "complex128", "csingle", "cdouble",
    "f2", "f4", "f8", "HalfType", "FloatType", "DoubleType",
}  # fmt: skip
FLOAT_FUNCTIONS = {
    "sqrt", "cbrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan",
    "tanh", "mean", "average", "std", "var", "median", "divide", "true_divide", "truediv",
    "linspace", "interp", "linalg", "fft", "random", "nan", "inf", "pi",
}  # fmt: skip
FLOAT_BY_DEFAULT = {"zeros", "ones", "empty", "identity", "eye"}


def floating(source: str) -> Iterator[str]:
    """Yield each place of a module that makes, names or may return a floating-point number."""
    for node in ast.walk(ast.parse(source)):
        what = describe(node)
        if what:
            yield f"line {getattr(node, 'lineno', '?')}: {what}"


def describe(node: ast.AST) -> str:
    """Describe the floating-point use of one node.  Most nodes have none."""
    match node:
        case ast.Constant(value=float() | complex() as number):
            return f"constant {number}"
        case ast.Constant(value=str(text)) if text in FLOAT_TYPES:
            return f"dtype {text!r}"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return "true division"
        case ast.BinOp(op=ast.Pow(), right=ast.UnaryOp(op=ast.USub())):
            return "a negative power"
        case ast.Import(names=names) if {n.name.split(".")[0] for n in names} & FLOAT_MODULES:
            return "import of floats"
        case ast.ImportFrom(module=str(module)) if module.split(".")[0] in FLOAT_MODULES:
            return "import of floats"
        case ast.Name(id="float" | "complex" as name):
            return name
        case ast.Attribute(value=ast.Name(id=base), attr=name) if (
            base in NUMBERS and name in FLOAT_TYPES | FLOAT_FUNCTIONS
        ):
            return f"{base}.{name}"
        case ast.Call(func=ast.Attribute(attr="mean" | "std" | "var" as name)):
            return f"{name}()"
        case ast.Call(func=ast.Attribute(attr=name), args=args, keywords=keywords) if (
            name in FLOAT_BY_DEFAULT
        ):
            typed = len(args) > 1 or any(k.arg == "dtype" for k in keywords)
            return "" if typed else f"{name}() without a dtype"
    return ""


def engine_files() -> list[Path]:
    return sorted(
        path
        for part in ENGINE
        for path in ([ROOT / part] if part.endswith(".py") else (ROOT / part).rglob("*.py"))
        if path not in NOT_SCANNED
    )


def test_every_part_of_the_engine_is_scanned() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in engine_files()} == {
        part.split("/")[0] for part in ENGINE
    }


@pytest.mark.parametrize("path", engine_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_floats(path: Path) -> None:
    assert list(floating(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "x = 1.0",
        "x = 1j",
        "y = x / 2",
        "x /= 2",
        "x = 2 ** -1",
        "import math",
        "import math as m",
        "from math import sqrt",
        "x = np.float32(1)",
        "x = np.zeros(3)",
        "x = np.empty((3, 4))",
        "x = y.mean()",
        "x = np.sqrt(2)",
        "x = y.astype('float64')",
        "def f(x: float) -> int: ...",
        "x = float(y)",
        "t = ir.DoubleType()",
    ],
)
def test_the_scan_finds(source: str) -> None:
    assert list(floating(source))


@pytest.mark.parametrize(
    "source",
    [
        "y = x // 2",
        "x = np.zeros(3, np.int8)",
        "y = np.empty(3, dtype='int32')",
        "x = np.arange(4).max()",
    ],
)
def test_the_scan_leaves(source: str) -> None:
    assert not list(floating(source))
