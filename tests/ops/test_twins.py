"""Every operation: the reference and the code of translations give equal bits.

The file `test_NAME.py` of an operation takes part with its strategy `cases()`.  No list is kept by
hand.  This file also runs in a process with NUMBA_DISABLE_JIT=1 (`test_without_jit.py`).  The
kernels are plain Python there.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import int8ref.kernels
from int8ref.abi.fused import FUSED
from int8ref.machine.loop.marshal import step_of
from int8ref.reference import instructions, operation
from int8ref.spec.instruction import field_kinds
from tests.ops.cases import Case, run_reference, run_step

OPS = sorted(instructions())
SUPPORT = {
    "attention",
    "attention_products",
    "attention_scores",
    "gemm",
    "histories",
    "ir",
    "layer_norm",
    "sinusoids",
    "views",
    *(op for op, kind in FUSED.items() if not kind.runs_as),
}
"""Modules of `kernels/` that are no operations."""
STRATEGIES: dict[str, st.SearchStrategy[Case]] = {
    op: importlib.import_module(f"tests.ops.test_{op}").cases() for op in OPS
}


@pytest.mark.parametrize("op", OPS)
@given(data=st.data())
def test_same_bits(op: str, data: st.DataObject) -> None:
    case = data.draw(STRATEGIES[op])
    assert case.instruction.op == op
    wanted = run_reference(case)
    found = run_step(case)
    assert list(found) == list(wanted)
    for place, array in wanted.items():
        assert found[place].dtype == array.dtype, place
        np.testing.assert_array_equal(found[place], array, place)


@pytest.mark.parametrize("op", sorted({*OPS} - {"pool"}))  # it makes one row of several rows
@given(data=st.data())
def test_rows_do_not_see_each_other(op: str, data: st.DataObject) -> None:
    """A row alone gives the bits of the row among others, so the batch changes no bit."""
    case = data.draw(STRATEGIES[op])
    kinds = case.types()
    out_domain = kinds[case.instruction.names("result")[0]].domain
    alike = {"target", "history"} if out_domain in ("target", "history") else {out_domain}
    row_values = [n for n in case.values if kinds[n].domain in alike]
    keys = getattr(case.instruction, "key", None), getattr(case.instruction, "value", None)
    assume(out_domain != "source" or not any(keys))  # the rows of self-attention are also its keys
    whole = run_reference(case)
    rows = len(case.values[row_values[0]])
    row = data.draw(st.integers(0, rows - 1))
    values = {
        name: array[row : row + 1] if name in row_values else array
        for name, array in case.values.items()
    }
    alone = run_reference(Case(case.instruction, values, case.tensors, case.domains))
    for place, array in whole.items():
        np.testing.assert_array_equal(alone[place], array[row : row + 1])


def test_every_reference_has_a_kernel_and_nothing_else_is_there() -> None:
    kernels = {module.name for module in pkgutil.iter_modules(int8ref.kernels.__path__)}
    assert kernels - SUPPORT == set(OPS)
    assert kernels >= SUPPORT


@pytest.mark.parametrize("op", OPS)
def test_files_declare_what_they_are(op: str) -> None:
    assert parameters(step_of(op)) == ["frame", "code"]
    assert inspect.getdoc(operation(op))
    assert inspect.getdoc(instructions()[op])


@pytest.mark.parametrize("op", OPS)
def test_signatures_match(op: str) -> None:
    """Fields, parameters of the reference and parameters of the kernel have equal names and order.

    A kernel may have further parameters (`machine.loop.marshal`).  A kernel with its own `step` has
    none.
    """
    kinds = field_kinds(instructions()[op])
    fields = [name for name, kind in kinds if kind != "result"]
    results = [name for name, kind in kinds if kind == "result"]
    signature = inspect.signature(operation(op)).parameters.values()
    named = [p.name for p in signature if p.kind is not p.VAR_KEYWORD]
    assert set(named) <= set(fields)
    assert len(named) == len(fields) or len(named) < len(signature)  # the others are passed on
    module: Any = importlib.import_module(f"int8ref.kernels.{op}")
    assert hasattr(module, op) != hasattr(module, "step")
    if hasattr(module, op):
        given = [name for name in parameters(getattr(module, op)) if name in dict(kinds)]
        assert given == [name for name in [*named, *results] if name in given]


def parameters(function: Any) -> list[str]:
    """Return the names of the parameters of a function, compiled or not."""
    return list(inspect.signature(getattr(function, "py_func", function)).parameters)
