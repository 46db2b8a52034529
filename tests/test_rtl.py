"""The example in Verilog: the page works as it is written, and no fault of a design passes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import TIMEOUT

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "rtl"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FAULTS = {
    "no rounding": ("rounding_shift_right.v", " + $signed({1'b0, shifted[0]})", ""),
    "logical shift": ("rounding_shift_right.v", "doubled >>> shift", "doubled >> shift"),
    "no upper end": ("saturate.v", "(x > high) ? high :", ""),
    "lower end -32768": ("saturate.v", "? -high", "? -high - 1"),
    "product of 46 bits": (
        "requantize.v",
        "reg signed [46:0] product",
        "reg signed [45:0] product",
    ),
    "signed multiplier": ("requantize.v", "$signed({1'b0, multiplier})", "$signed(multiplier)"),
    "shift modulo 32": ("requantize.v", "(product_shift)", "({1'b0, product_shift[4:0]})"),
    "no epsilon": ("rms_norm.v", "n * squares + epsilon", "n * squares"),
    "sum of 43 bits": ("rms_norm.v", "reg  [43:0] squares", "reg  [42:0] squares"),
    "root of 30 bits": ("isqrt.v", "bit_now == 62'd1", "bit_now == 62'd4"),
    "reciprocal rounded up": ("reciprocal.v", "{r[29:0], fits}", "{r[29:0], fits | left == 0}"),
    "t of 17 bits": ("rms_norm.v", "$signed(t[17:0])", "$signed(t[16:0])"),
    "wide as out": ("rms_norm.v", " - {2'b00, wide_bits}", ""),
}
"""(file, text, text of the fault) by name."""
ROOTS = ("rms_norm.v", "isqrt.v", "reciprocal.v")
"""Files that only rms_norm uses."""

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("iverilog", "vvp", "make"))),
    reason="needs Icarus Verilog and make",
)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a copy of the example in which everything is built."""
    folder = tmp_path_factory.mktemp("rtl") / "examples" / "rtl"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("build"))
    done = run(folder, "make")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nPASS\n") == 2
    return folder


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command in a folder, with this Python as `python`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-ec", command],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_does_not_pass(vectors: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "rtl"
    shutil.copytree(vectors, folder)
    file, old, new = FAULTS[name]
    text = (folder / file).read_text()
    assert text.count(old) == 1
    (folder / file).write_text(text.replace(old, new))
    done = run(folder, "make rms_norm" if file in ROOTS else "make requantize")
    assert done.returncode != 0
    assert "\nFAIL\n" in done.stdout
    assert re.search(r"-\w+: \w+\[\d+\] is -?[\dx]+, not -?\d+", done.stdout)


@pytest.mark.parametrize(("op", "field"), [("requantize", "out"), ("rms_norm", "wide")])
def test_one_changed_bit_does_not_pass(vectors: Path, tmp_path: Path, op: str, field: str) -> None:
    folder = tmp_path / "rtl"
    shutil.copytree(vectors, folder)
    case = sorted((folder / "build" / "vectors").glob(f"*-{op}"))[3]
    lines = (case / f"{field}.hex").read_text().splitlines()
    lines[-1] = f"{int(lines[-1], 16) ^ 1:04x}"
    (case / f"{field}.hex").write_text("\n".join([*lines, ""]))
    done = run(folder, f"make {op}")
    assert done.returncode != 0
    told = done.stdout.splitlines()
    assert (
        sum(
            line.startswith(f"build/vectors/{case.name}: {field}[{len(lines) - 1}]")
            for line in told
        )
        == 1
    )
    assert f"{op}: " in told[-2]
    assert told[-2].endswith(", 1 wrong")
    assert told[-1] == "FAIL"


def test_no_vectors_do_not_pass(vectors: Path, tmp_path: Path) -> None:
    done = run(vectors, f"vvp -n build/rms_norm_tb.vvp +vectors={tmp_path}")
    assert done.stdout.splitlines()[-1] == "FAIL"
