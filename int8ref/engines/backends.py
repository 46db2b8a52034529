"""The backends by name."""

from __future__ import annotations

from typing import Literal

from int8ref.engines.engine import Engine
from int8ref.engines.reference import ReferenceEngine
from int8ref.engines.text_batch import SingleTexts, TextBatch
from int8ref.options import OptionError
from int8ref.program.program import Program, Tensors
from int8ref.program.validate import Checked
from int8ref.search.hypothesis import Sampling

Backend = Literal["compiled", "reference"]


BACKENDS: tuple[Backend, ...] = ("compiled", "reference")


def check_backend(backend: object) -> None:
    """Raises `OptionError` for an unknown backend."""
    if not isinstance(backend, str) or backend not in BACKENDS:
        raise OptionError(f"backend is {backend!r}, not one of {BACKENDS}")


def prepare_backend(backend: Backend) -> None:
    """Start to load the native code in the background, because the first engine of a process needs
    it.  Raises `OptionError` for an unknown backend."""
    check_backend(backend)
    if backend == "compiled":
        from int8ref.machine.toolchain.native import prepare

        prepare()


def load_engine(
    program: Program,
    tensors: Tensors,
    backend: Backend = "compiled",
    types: Checked | None = None,
    digest: str | None = None,
    name: str = "model",
    threads: int = 1,
) -> Engine:
    """An engine for a valid Program.

    `types` is the result of `program.validate`, if the caller knows it.  `digest`, if there is one,
    identifies the tensors.  With a digest, the compiled engine stores packed weights in the cache,
    and they replace the weights of older tensors with the same `name`.  The calls of a compiled
    engine share `threads` cores.  Raises `OptionError` for an unknown backend.
    """
    check_backend(backend)
    if backend == "reference":
        return ReferenceEngine(program, tensors)
    from int8ref.engines.compiled import CompiledEngine

    return CompiledEngine(program, tensors, types, digest, name, threads)


def begin_batch(
    engine: Engine, sampling: Sampling | None, rows: int, adjusted: bool = False
) -> TextBatch:
    """Begin a batch of at most `rows` texts at once.

    `sampling`: None means greedy search.  `adjusted`: whether requests may have adjustments.
    """
    from int8ref.engines.compiled import CompiledEngine
    from int8ref.engines.running import RunningBatch

    if isinstance(engine, CompiledEngine) and engine.takes_up_texts:
        return RunningBatch(engine, sampling, rows, adjusted)
    return SingleTexts(engine, sampling, rows)
