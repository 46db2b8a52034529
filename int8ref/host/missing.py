"""Reports a missing dependency of a command in one sentence, without a traceback.

This happens if a Python finds int8ref in the current folder, and int8ref is not installed for this
Python.  A Python older than 3.11 must also be able to read this file.
"""

from __future__ import annotations

import os
import sys
from typing import Any

DEPENDENCIES = {
    "msgspec": "msgspec",
    "numba": "numba",
    "numpy": "numpy",
    "platformdirs": "platformdirs",
    "sentencepiece": "sentencepiece",
    "yaml": "PyYAML",
}
"""Dependencies of int8ref: name of the module -> name of the distribution."""
OLDEST = (3, 11)


def tell() -> None:
    """Check the version of Python.  Make a command report a missing dependency in one line."""
    command = sys.argv[:1] == ["-m"]  # true while `python -m` imports the package
    if sys.version_info[:2] < OLDEST:
        told = f"int8ref needs Python 3.{OLDEST[1]} or later; this is {sys.version.split()[0]}"
        if command:
            sys.exit(f"int8ref: error: {told} ({sys.executable})")
        raise ImportError(told)
    if command:
        sys.excepthook = hook


def hook(kind: Any, error: Any, trace: Any) -> None:
    """Implement `sys.excepthook`: report a missing dependency in one line."""
    name = getattr(error, "name", None)
    if isinstance(error, ModuleNotFoundError) and name in DEPENDENCIES:
        print("int8ref: error: " + advice(name), file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def advice(module: str) -> str:
    """Return a message that says how to install the missing module."""
    python = sys.executable
    told = f"the package {DEPENDENCIES[module]} is not installed for {python}: type "
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if not os.path.exists(os.path.join(folder, "pyproject.toml")):
        return told + f"{python} -m pip install {DEPENDENCIES[module]}"
    own = os.path.join(folder, ".venv", "Scripts" if os.name == "nt" else "bin", "python")
    if os.path.exists(own) or os.path.exists(own + ".exe"):
        return told + f"{own} instead"
    if sys.prefix == sys.base_prefix:
        told += f'{python} -m venv "{os.path.join(folder, ".venv")}", then '
        python = own
    return told + f'{python} -m pip install "{folder}[models]", and then use {python}'
