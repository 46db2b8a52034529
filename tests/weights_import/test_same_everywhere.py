"""A checkpoint gives the same model for any number of threads, and on any processor.

`arithmetic/test_product.py` compares the arithmetic alone.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import every_kind
import llvmlite.binding as llvm
import model_digests
import pytest
from model_digests import Digests

from tests.helpers.processes import TIMEOUT
from weights_import.arithmetic import threads

X86 = llvm.get_process_triple().startswith("x86_64")
NEWER = re.compile(r"s*e[34]|avx|fma|xop|f16c")
"""LLVM's names of what SSE2 lacks."""


@pytest.fixture(scope="session")
def here() -> dict[str, Digests]:
    """The digests of each kind, in this process."""
    return {kind: model_digests.digests(kind) for kind in every_kind.KINDS}


def test_the_models_are_worth_a_comparison() -> None:
    """They have many different translations, and options of all kinds."""
    assert model_digests.OPTIONS.keys() == set(every_kind.KINDS)
    for kind in ("recurrent", "post-norm", "integer"):
        found = dict(model_digests.results(kind))
        assert len({tuple(ids) for ids in json.loads(found["translations"])}) > 10
        assert len(found) > 100


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_threads_change_no_bit_of_a_model(
    kind: str, count: int, here: dict[str, Digests], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def processors() -> int:
        nonlocal calls
        calls += 1
        return count

    monkeypatch.setattr(threads, "processors", processors)
    assert model_digests.digests(kind) == here[kind]
    assert calls


def oldest() -> dict[str, str]:
    """The environment in which Numba and NumPy take this processor for one with SSE2 alone.

    NumPy has no code for less than its baseline, which is SSE3 or SSE4.2.
    """
    newer = [f"-{name}" for name in llvm.get_host_cpu_features() if NEWER.match(name)]
    disabled = model_digests.processor()["numpy"]
    return {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": ",".join(["+sse", "+sse2", *newer]),
        "NPY_DISABLE_CPU_FEATURES": ",".join(disabled),
    }


@pytest.mark.skipif(not X86, reason="only x86 has SSE2")
def test_the_oldest_processor_gives_the_same_models(here: dict[str, Digests]) -> None:
    path = os.pathsep.join(filter(None, sys.path))
    run = subprocess.run(
        [sys.executable, model_digests.__file__],
        env={**os.environ, **oldest(), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert run.returncode == 0, run.stderr
    processor, there = json.loads(run.stdout)
    assert processor == {"numba": "generic", "numpy": []}
    assert there == here
