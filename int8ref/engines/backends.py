"""The backends by name."""

from __future__ import annotations

from typing import Literal

from int8ref.engines.engine import Engine
from int8ref.engines.reference import ReferenceEngine
from int8ref.options import OptionError
from int8ref.program.program import Program, Tensors
from int8ref.program.validate import Checked

Backend = Literal["compiled", "reference"]


BACKENDS: tuple[Backend, ...] = ("compiled", "reference")


def prepare_backend(backend: Backend) -> None:
    """Begin ahead what every first engine of a backend in a process waits for: the native code."""
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
) -> Engine:
    """An engine for a valid Program.

    `types` are what `program.validate` found, for who has called it.  `digest`, where there is one,
    tells these tensors from all others: the compiled engine then keeps in the cache what it packs,
    in place of what it kept of older tensors of this name.  Raises `OptionError` for a backend that
    there is not.
    """
    if not isinstance(backend, str) or backend not in BACKENDS:
        raise OptionError(f"backend is {backend!r}, not one of {BACKENDS}")
    if backend == "reference":
        return ReferenceEngine(program, tensors)
    from int8ref.engines.compiled import CompiledEngine

    return CompiledEngine(program, tensors, types, digest, name)
