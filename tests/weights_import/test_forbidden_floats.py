"""No module of the importer uses a float function that may give other bits elsewhere."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from forbidden_floats import Use, forbidden

import weights_import
from weights_import.operations import norm

ROOT = Path(weights_import.__file__).parent
REPORT = "report"
"""The folder that decides no model file: nothing outside of it imports it (`lint-imports`)."""
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("*.py")
    if path.relative_to(ROOT).parts[0] != REPORT
)
INTEGERS = "only integers"
COUNTS = "only numbers of bytes, tokens or tensors"
WHOLE = "a whole power of 1, -1 or 2"
ASCENDING = "the sums of a prefix have one order: NumPy defines `accumulate` as a loop"
LEGITIMATE: dict[tuple[str, str, str], str] = {
    ("arithmetic/constants.py", "_series", "**"): WHOLE,
    ("arithmetic/trigonometry.py", "", "**"): WHOLE,
    ("lowering/least_scales.py", "least_norm", "**"): WHOLE,
    ("lowering/least_scales.py", "least_result", "**"): WHOLE,
    ("arithmetic/singular_values.py", "_ascending", "numpy.cumsum"): ASCENDING,
    ("operations/head_basis.py", "_damped", "numpy.cumsum"): ASCENDING,
    ("operations/head_basis.py", "balanced_bases", "numpy.cumsum"): ASCENDING,
    ("calibrate.py", "few", ".sum()"): INTEGERS,
    ("calibrate.py", "few", "numpy.cumsum"): INTEGERS,
    ("lowering/integer_weights.py", "Rows.ends", "numpy.cumsum"): INTEGERS,
    ("operations/emit_attention.py", "AttentionEmitter._operands", "numpy.cumsum"): INTEGERS,
    ("run.py", "Batch.of", "numpy.cumsum"): INTEGERS,
    ("sources/relative_buckets.py", "Buckets.listed", "**"): INTEGERS,
    ("calibration_text.py", "shortage", "sum()"): COUNTS,
    ("sources/llama2c.py", "Header.size", "sum()"): COUNTS,
    ("sources/zip_members.py", "_check_sizes", "sum()"): COUNTS,
    ("tensors.py", "Tensors.nbytes", "sum()"): COUNTS,
    ("float_search.py", "_choices", "numpy.argpartition"): "only the least of its values is used",
}
"""File, function and use: why the bits are the same everywhere."""


def uses(file: str) -> set[Use]:
    """The forbidden uses in a module of the importer."""
    module = ".".join(["weights_import", *Path(file).with_suffix("").parts])
    return set(forbidden((ROOT / file).read_text(), vars(import_module(module))))


def legitimate(file: str) -> set[Use]:
    return {(function, what) for name, function, what in LEGITIMATE if name == file}


def test_every_folder_is_scanned() -> None:
    assert {name.rpartition("/")[0] for name in FILES} == {
        "", "arithmetic", "lowering", "operations", "sources",
    }  # fmt: skip
    assert {file for file, _, _ in LEGITIMATE} <= set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_only_legitimate_uses(file: str) -> None:
    """A use that has gone must leave the list."""
    assert uses(file) == legitimate(file)


NUMPY = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "tanh", "arctan2",
    "power", "float_power", "cbrt", "hypot", "mean", "average", "std", "var", "median",
    "percentile", "quantile", "sum", "nansum", "prod", "cumsum", "cumprod", "dot", "vdot", "inner",
    "matmul", "tensordot", "einsum", "kron", "convolve", "correlate", "cov", "corrcoef", "trace",
    "interp", "linspace", "geomspace", "gradient", "trapezoid", "linalg", "fft", "random",
    "polynomial", "add", "partition", "argpartition",
)  # fmt: skip
MATH = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "tanh", "atan2",
    "pow", "cbrt", "hypot", "dist", "erf", "gamma", "fsum", "sumprod", "fma",
)  # fmt: skip


@pytest.mark.parametrize("name", NUMPY)
def test_functions_of_numpy_are_found(name: str) -> None:
    found = [("", f"numpy.{name}")]
    assert list(forbidden(f"import numpy as np\ny = np.{name}(x)")) == found
    assert list(forbidden(f"import numpy\ny = numpy.{name}(x)")) == found
    assert list(forbidden(f"from numpy import {name}")) == found
    assert list(forbidden(f"import numpy as np\ny = map(np.{name}, x)")) == found


@pytest.mark.parametrize("name", MATH)
def test_functions_of_math_are_found(name: str) -> None:
    found = [("", f"math.{name}")]
    assert list(forbidden(f"import math\ny = math.{name}(x)")) == found
    assert list(forbidden(f"import math as m\ny = m.{name}(x)")) == found
    assert list(forbidden(f"from math import sqrt, {name} as f")) == found


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("y = a @ b", "@"),
        ("a @= b", "@"),
        ("y = x**2", "**"),
        ("y = x**0.5", "**"),
        ("y = 2.0**n", "**"),
        ("y = 2.0**0.5", "**"),
        ("y = 3**-1", "**"),
        ("y = 3.0**2", "**"),
        ("y = BASE**2", "**"),
        ("y = 2**REAL", "**"),
        ("x **= 2", "**"),
        ("y = pow(x, 2)", "pow()"),
        ("y = sum(x)", "sum()"),
        ("y = x.sum()", ".sum()"),
        ("y = x.sum(axis=1)", ".sum()"),
        ("y = x.sum(dtype=np.float64)", ".sum()"),
        ("y = f(x).mean(axis=0)", ".mean()"),
        ("y = (a * b).std()", ".std()"),
        ("y = x.T.dot(y)", ".dot()"),
        ("y = x.prod()", ".prod()"),
        ("y = x.cumsum()", ".cumsum()"),
        ("y = x.argsort()", "argsort() that is not stable"),
        ("y = np.argsort(x)", "argsort() that is not stable"),
        ("y = np.argsort(x, kind='quicksort')", "argsort() that is not stable"),
        ("f = njit(fastmath=True)(g)", "fastmath="),
        ("f = njit(parallel=True)(g)", "parallel="),
        ("y = builder.fma(a, b, c)", ".fma()"),
        ("y = 1j * x", "complex()"),
        ("import scipy.special", "import scipy.special"),
        ("from statistics import fmean", "import statistics"),
        ("import random as r", "import random"),
    ],
)
def test_other_uses_are_found(source: str, what: str) -> None:
    assert list(forbidden(source, {"BASE": 3.0, "REAL": 0.5})) == [("", what)]


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\ny = np.sqrt(np.abs(x)) / np.maximum(x, 1)",
        "import numpy as np\ny = np.outer(x, x)",
        "import math\ny = math.sqrt(x) * math.ldexp(1.0, n) + math.prod(shape)",
        "from numpy.typing import NDArray",
        "y = x.sum(axis=1, dtype=np.int64)",
        "y = np.argsort(x, kind='stable')",
        "y = 2.0**-24 + 2**BITS + 2.0**BITS + 10**6 + WIDTH**2 + 0.5**LIFT",
        "from arithmetic import exp, log, dot\ny = dot(exp(x), log(x))",
        "y = products.accumulate(x)",
    ],
)
def test_other_code_is_left_alone(source: str) -> None:
    assert not list(forbidden(source, {"BITS": 7, "WIDTH": 12, "LIFT": 54.0}))


def test_the_place_is_told() -> None:
    """Two uses that are put into a kernel, and one in a method."""
    source = (ROOT / "operations/norm.py").read_text()
    broken = source.replace("np.sqrt(total)", "np.exp(total)").replace("y * y", "y**2")
    found = {("normalize", "numpy.exp"), ("normalize", "**")}
    assert set(forbidden(broken, vars(norm))) == found
    nested = "import math\nclass A:\n def b(self):\n  def c(): return math.exp(1)"
    assert list(forbidden(nested)) == [("A.b.c", "math.exp")]
