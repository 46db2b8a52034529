"""The reference in C compiles without a warning, and needs nothing but the standard library."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.processes import TIMEOUT
from tests.reference_c.program import COMPILERS, SOURCES, STRICT


@pytest.mark.slow  # the other tests compile too, with the sanitizers
@pytest.mark.parametrize("name", COMPILERS)
def test_each_file_compiles_without_a_warning(name: str, tmp_path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    command = [name, *STRICT, "-O2", "-c", *sorted(SOURCES.glob("*.c"))]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=TIMEOUT)


def test_nothing_but_the_standard_library_is_included() -> None:
    own = {path.name for path in SOURCES.glob("*.h")}
    standard = {"ctype", "errno", "stdarg", "stdint", "stdio", "stdlib", "string"}
    for path in SOURCES.glob("*.[ch]"):
        lines = [line for line in path.read_text().splitlines() if line.startswith("#include")]
        found = {line.split(maxsplit=1)[1].strip('<>"') for line in lines}
        assert found <= own | {f"{name}.h" for name in standard}, path.name


def test_no_number_of_the_reference_is_a_float() -> None:
    for path in SOURCES.glob("*.[ch]"):
        assert not {"float", "double", "math.h"} & set(path.read_text().split()), path.name
