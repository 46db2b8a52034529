"""Shows from the machine code that no floating-point instruction runs."""

from __future__ import annotations

import hashlib

from int8ref.auditing.document import Machine
from int8ref.errors import UserError
from int8ref.host.cpu import cpu
from int8ref.machine.toolchain import assembly, native


class OtherCodeError(UserError):
    """The assembly belongs to other code than the code that runs."""


def machine() -> Machine:
    """Read all instructions of the native code.

    The function loads the code, compiles it a second time, and compares both, byte for byte.
    Therefore the assembly of the second compilation is the assembly of the code that runs.  Every
    model runs on the same native code.

    Raises `OtherCodeError` if the codes differ, and `CompilerError`.
    """
    native.machine()
    loaded = native.place().read_bytes()
    code, _, text = assembly.listing()
    if code != loaded:
        raise OtherCodeError(
            f"{native.place()}: the code that runs is not the code that the compiler gives now;"
            " delete this file and try again"
        )
    return Machine(
        processor=cpu()[1],
        code_sha256=hashlib.sha256(code).hexdigest(),
        instructions=assembly.count(text),
        floating=assembly.floating(text),
    )
