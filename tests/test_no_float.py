"""No floating-point number in inference: not in arrays of the reference, and not in compiled code.

`test_integer_only.py` reads the source.  Here the engine runs, and the tests read the compiled
code.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import int8ref.engines
import int8ref.program
import int8ref.reference
import int8ref.search
import int8ref.spec
from int8ref.engines.engine import Engine
from int8ref.engines.reference import ReferenceEngine
from int8ref.files.model_file import Model
from int8ref.machine.toolchain.assembly import count
from int8ref.machine.toolchain.assembly import floating as floats_in_assembly
from int8ref.program.program import Tensors
from int8ref.reference import operation
from int8ref.search import BeamOptions, Hypothesis, Sampling
from tests.helpers.engines import requests, score
from tests.helpers.machine_text import machine_text, text_of
from tests.helpers.models import build_tiny_model

MODEL = build_tiny_model(2)

# The reference: every array has a class that rejects floats.


class FloatError(AssertionError):
    """The code made a floating-point number."""


def refuse_floats(thing: Any) -> None:
    """Raise `FloatError` for a float, an array of floats, or their types."""
    made = isinstance(thing, np.ndarray | np.generic) and thing.dtype.kind in "fc"
    named = isinstance(thing, type) and issubclass(thing, float | np.inexact)
    if isinstance(thing, float | complex) or made or named:
        raise FloatError(f"{thing!r:.60}")


class Integers(np.ndarray[Any, Any]):
    """An array that rejects floats.  All arrays that are computed from it also reject floats."""

    operations = 0

    def __array_finalize__(self, obj: Any) -> None:
        if self.dtype.kind in "fc":
            raise FloatError(f"array of {self.dtype}")

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = (), **kwargs: Any
    ) -> Any:
        Integers.operations += 1
        for thing in (*inputs, *out):
            refuse_floats(thing)
        plain = [np.asarray(x) if isinstance(x, Integers) else x for x in inputs]
        if out:
            kwargs["out"] = tuple(np.asarray(x) if isinstance(x, Integers) else x for x in out)
        result = getattr(ufunc, method)(*plain, **kwargs)
        for part in result if isinstance(result, tuple) else (result,):
            refuse_floats(part)
        return out[0] if out else guarded(result)


def guarded(thing: Any) -> Any:
    """Convert arrays to guarded arrays, also inside tuples."""
    if isinstance(thing, tuple):
        return tuple(guarded(part) for part in thing)
    refuse_floats(thing)
    if isinstance(thing, np.ndarray):
        return thing.view(Integers)
    return thing


class GuardedNumPy:
    """A replacement of the module numpy whose functions return guarded arrays."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        refuse_floats(found)
        if isinstance(found, type | ModuleType) or not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            for argument in (*args, *kwargs.values()):
                refuse_floats(argument)
            return guarded(found(*args, **kwargs))

        if isinstance(found, np.ufunc):  # the arrays guard its methods
            vars(call)["reduceat"] = found.reduceat
        return call


PACKAGES = (
    int8ref.spec, int8ref.program, int8ref.reference, int8ref.search, int8ref.engines
)  # fmt: skip
REFERENCE_MODULES = [
    *(
        importlib.import_module(f"{package.__name__}.{module.name}")
        for package in PACKAGES
        for module in pkgutil.iter_modules(package.__path__)
    ),
]  # fmt: skip


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace NumPy in the reference by a NumPy that rejects floats."""
    for module in REFERENCE_MODULES:
        if hasattr(module, "np"):
            monkeypatch.setattr(module, "np", GuardedNumPy())
    Integers.operations = 0


BATCH, LIMITS = [[5, 9, 3, 0], [7, 0]], [9, 9]


Tokens = list[list[int]]


def search(engine: Engine) -> tuple[Tokens, Tokens, list[list[Hypothesis]], list[Hypothesis]]:
    """Run all searches of an engine."""
    options = BeamOptions(3, 3, "gnmt", 60)
    asked = requests(BATCH, LIMITS)
    found = engine.beam(asked, options)
    targets = [best[0].ids for best in found]
    sampled = engine.sample(asked, Sampling(150, top_k=9, top_p=95, seed=3))
    return engine.greedy(asked), sampled, found, score(engine, BATCH, targets, options)


def translate(model: Model) -> Any:
    """Run every search with guarded tensors, and check every value."""
    tensors: Tensors = {name: array.view(Integers) for name, array in model.tensors.items()}
    engine = ReferenceEngine(model.program, tensors)
    seen = set()

    def observe(name: str, value: Any) -> None:
        assert isinstance(value, Integers), f"{name} escaped the guard"
        seen.add(name)

    session = engine.session(BATCH, observe)
    session.step(np.full(2, -1, np.int32))
    results = {n for i in [*model.program.encoder, *model.program.decoder]
               for n in i.names("result")}  # fmt: skip
    assert seen == results
    return search(engine)


def test_the_reference_makes_no_float(guard: None) -> None:
    found = translate(MODEL)
    assert Integers.operations > 3000
    for hypothesis in found[3]:
        assert all(type(x) is int for x in (*hypothesis.ids, *hypothesis.tokens, hypothesis.score))
    with pytest.MonkeyPatch.context() as patch:
        for module in REFERENCE_MODULES:
            patch.setattr(module, "np", np, raising=False)
        plain = ReferenceEngine(MODEL.program, MODEL.tensors)
        assert found == search(plain)


FLOATS: dict[str, Callable[[Any, Any], Any]] = {
    "true division": lambda x, n: (x / 2).astype(np.int64),
    "division in place": lambda x, n: n.true_divide(x, 2),
    "a float constant": lambda x, n: (x * 1.0).astype(np.int64),
    "astype": lambda x, n: x.astype(np.float32).astype(np.int64),
    "a scalar": lambda x, n: x + int(x.ravel()[0] * n.float64(2)),
    "square root": lambda x, n: n.sqrt(abs(x)).astype(np.int64),
    "exp2": lambda x, n: n.exp2(-abs(x)).astype(np.int64),
    "mean": lambda x, n: x - int(x.mean()),
    "numpy.mean": lambda x, n: x - int(n.mean(x)),
    "zeros": lambda x, n: x + n.zeros(x.shape).astype(np.int64),
    "an accumulator": lambda x, n: n.matmul(x, x.T, dtype=np.float64).astype(np.int64),
    "sum": lambda x, n: x.sum(dtype=np.float32).astype(np.int64),
    "mixed signs": lambda x, n: (x.astype(np.uint64) * x.astype(np.int64)).astype(np.int64),
}


@pytest.mark.parametrize("name", FLOATS)
def test_the_guard_finds(name: str, guard: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One operation uses a float internally.  Its result is integer."""
    module = importlib.import_module("int8ref.reference.match_add")
    original = operation("match_add")

    def floating(a: Any, *rest: Any, **fields: Any) -> Any:
        FLOATS[name](a, module.np)
        return original(a, *rest, **fields)

    operation.cache_clear()
    monkeypatch.setattr(module, "match_add", floating)
    try:
        with pytest.raises(FloatError):
            translate(MODEL)
    finally:
        operation.cache_clear()


# Compiled code: LLVM IR and assembly.

FLOAT_TYPES = r"(?:half|bfloat|float|double|fp128|x86_fp80|ppc_fp128|x86_mmx)"
FLOAT_IR = re.compile(
    rf"(?<![\w.$@%]){FLOAT_TYPES}\b"
    r"|= *(?:fadd|fsub|fmul|fdiv|frem|fneg|fcmp|[su]itofp|fpto[su]i|fptrunc|fpext)\b"
)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def floats_in_ir(text: str) -> list[str]:
    """Return the lines of LLVM IR that name a floating-point type or instruction."""
    lines = (QUOTED.sub('""', line).split(";")[0] for line in text.splitlines())
    return [line for line in lines if FLOAT_IR.search(line)]


def compiled(function: Callable[..., Any]) -> tuple[str, str]:
    """Compile a function of an int64 as the machine is compiled.  Return LLVM IR and assembly."""
    from int8ref.machine.toolchain.build import module

    return text_of(module("probe", function))


def test_compiled_code_has_no_float() -> None:
    ir, assembly = machine_text()
    assert ir.count(" = mul ") > 100, "not the machine"
    assert count(assembly) > 5000, "not the machine"
    assert floats_in_ir(ir) == []
    assert floats_in_assembly(assembly) == []


def test_the_scan_finds_a_float() -> None:
    """The function divides two int64 with `/`, and converts the result back."""
    from int8ref.kernels.views import array

    def quotient(address: int) -> None:
        x = array(address, (2,), np.int64)
        x[0] = np.int64(x[0] / x[1])

    def floor(address: int) -> None:
        x = array(address, (2,), np.int64)
        x[0] = x[0] // x[1]

    ir, assembly = compiled(quotient)
    assert any("sitofp" in line for line in floats_in_ir(ir))
    assert any("double" in line for line in floats_in_ir(ir))
    assert floats_in_assembly(assembly)
    ir, assembly = compiled(floor)
    assert floats_in_ir(ir) == []
    assert floats_in_assembly(assembly) == []


@pytest.mark.parametrize(
    "line",
    [
        "  %1 = sitofp i64 %0 to double",
        "  %2 = fadd fast <8 x float> %0, %1",
        "declare double @llvm.sqrt.f64(double)",
        "  %3 = load half, ptr %0",
        "  %x = alloca { i64, double }",
    ],
)
def test_the_scan_of_ir_finds(line: str) -> None:
    assert floats_in_ir(line) == [line]


@pytest.mark.parametrize(
    "line",
    [
        '@".const.float64" = internal constant [3 x i8] c"float"',
        "  %float.1 = add i64 %0, %1",
        "  ; double",
        '  call void @"double"(i64 %0)',
        "  %.12 = mul <8 x i32> %0, %1",
    ],
)
def test_the_scan_of_ir_leaves(line: str) -> None:
    assert floats_in_ir(line) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("\tvaddps\t%ymm0, %ymm1, %ymm2", True),
        ("\tcvtsi2sd\t%rax, %xmm0", True),
        ("\tvcvttpd2dq\t%ymm0, %xmm0", True),
        ("\tdivss\t%xmm0, %xmm1", True),
        ("\tvfmadd231ps\t%ymm0, %ymm1, %ymm2", True),
        ("\tvucomisd\t%xmm0, %xmm1", True),
        ("\tfldl\t(%rax)", True),
        ("\tscvtf\td0, x0", True),
        ("\tfmul\tv0.4s, v1.4s, v2.4s", True),
        ("\tvmovups\t(%rax), %ymm0", False),
        ("\tvxorps\t%xmm0, %xmm0, %xmm0", False),
        ("\tvshufps\t$136, %ymm0, %ymm1, %ymm2", False),
        ("\tvpmaxsd\t%ymm0, %ymm1, %ymm2", False),
        ("\tvblendvpd\t%ymm0, %ymm1, %ymm2, %ymm3", False),
        ("\tvpmaddwd\t%ymm0, %ymm1, %ymm2", False),
        ("\tsmull\tv0.8h, v1.8b, v2.8b", False),
    ],
)
def test_the_scan_of_assembly(line: str, found: bool) -> None:
    assert bool(floats_in_assembly(line + "\n")) == found
