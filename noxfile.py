"""The tests on every Python that pyproject.toml names, with the newest and the oldest packages.

nox                      all sessions; a Python that is absent is skipped, and the end tells so
nox --list
nox -s "tests-3.12(packages='oldest')" -- tests/ops
nox -s package
"""

from __future__ import annotations

from pathlib import Path

import nox

PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))
RESOLUTION = {"newest": "highest", "oldest": "lowest-direct"}
USE = """
from importlib.resources import files
import int8ref
text = int8ref.load("en-de-tatoeba").translate("Tom sleeps.").text
assert text == "Tom schläft.", text
for package in ("int8ref", "weights_import"):
    assert files(package).joinpath("py.typed").is_file(), package
"""

nox.needs_version = ">=2025.10.16"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False


@nox.session(python=PYTHONS)
@nox.parametrize("packages", list(RESOLUTION))
def tests(session: nox.Session, packages: str) -> None:
    """All tests but the slow ones, or what is given after `--`."""
    session.install("--resolution", RESOLUTION[packages], "-e", ".[test]")
    session.run("uv", "pip", "list", external=True)
    session.run("python", "-m", "pytest", "-q", *session.posargs)


@nox.session(python=PYTHONS)
def package(session: nox.Session) -> None:
    """The wheel that is built from the sdist works where nothing else is."""
    folder = Path(session.create_tmp())
    session.run("uv", "build", "--quiet", "--clear", "--out-dir", str(folder), external=True)
    (wheel,) = folder.glob("*.whl")
    session.install(str(wheel))
    session.chdir(folder)
    session.run("python", "-c", USE)
    session.run("python", "-m", "int8ref.translate", "-m", "en-de-tatoeba", "Tom sleeps.")
