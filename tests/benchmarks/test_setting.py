"""The resources of a run, its parts, and the documented commands."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from benchmarks import environments, ops, peers, report
from benchmarks.environments import Environment, UnavailableError, find_python, interpreter
from benchmarks.parts import PARTS
from benchmarks.parts.part import Part
from benchmarks.setting import TEXT, Preparation, Setting, digest_of, evenly

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
README = FOLDER / "README.md"

# The resources of a run.


def test_a_python_is_found_by_name_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert find_python((), {}) == sys.executable
    assert find_python((own,), {own: sys.executable}) == sys.executable
    with pytest.raises(UnavailableError, match=r"needs Python 3\.1, .*--python 3\.1=PATH"):
        find_python(("3.1",), {"3.1": sys.executable})
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PYENV_ROOT", "/nowhere")
    with pytest.raises(UnavailableError, match=r"needs Python 3\.1 or 3\.2"):
        find_python(("3.1", "3.2"), {"3.2": "/nowhere"})


class Installer:
    """Replaces subprocess.run: creates the interpreter of an environment, or fails."""

    def __init__(self, error: str = "") -> None:
        self.error, self.commands = error, 0

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.commands += 1
        if "venv" in command:
            python = Path(command[-1], "bin", "python")
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()
        code = 1 if self.error and "pip" in command else 0
        return subprocess.CompletedProcess(command, code, "", self.error)


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installer = Installer()
    monkeypatch.setattr(environments.subprocess, "run", installer)
    monkeypatch.setitem(environments.ENVIRONMENTS, "fake", Environment(("fake==1",)))
    found = interpreter("fake", tmp_path, {})
    assert found == interpreter("fake", tmp_path, {}) == tmp_path / "fake" / "bin" / "python"
    assert installer.commands == 2
    monkeypatch.setitem(environments.ENVIRONMENTS, "fake", Environment(("fake==2",)))
    interpreter("fake", tmp_path, {})
    assert installer.commands == 4


def test_an_installation_that_fails_tells_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer = Installer("WARNING: old\nERROR: No matching distribution\n\nnotice\n")
    monkeypatch.setattr(environments.subprocess, "run", installer)
    monkeypatch.setitem(environments.ENVIRONMENTS, "fake", Environment(("fake==1",)))
    for _ in range(2):  # the second call tries again
        with pytest.raises(UnavailableError, match="ERROR: No matching distribution"):
            interpreter("fake", tmp_path, {})
    assert installer.commands == 4


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    text = tmp_path / "shared" / TEXT
    text.parent.mkdir(parents=True)
    text.write_text("".join(f"line number {i}\n" for i in range(10)))
    return Setting(tmp_path / "cache", tmp_path / "shared", 4, [0, 1])


def test_a_text_is_taken_evenly(setting: Setting) -> None:
    lines = setting.text().read_text().splitlines()
    assert lines == [f"line number {i}" for i in (0, 2, 5, 7)]
    assert len(setting.text(2).read_text().splitlines()) == 8
    assert evenly(["a", "b"], 9) == ["a", "b"]
    setting.shared = setting.cache
    with pytest.raises(UnavailableError, match="--shared"):
        setting.text()


def test_a_preparation_is_made_once(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    installer = Installer()
    monkeypatch.setattr("benchmarks.setting.subprocess.run", installer)
    for _ in range(2):
        setting.prepare(Preparation("random_weights", ("small", "folder")))
    assert installer.commands == 1
    setting.prepare(Preparation("random_weights", ("base", "folder")))
    assert installer.commands == 2


def test_digests_follow_the_sources() -> None:
    assert digest_of(("benchmarks/prepare",)) == digest_of(("benchmarks/prepare",))
    assert digest_of(("benchmarks/prepare",)) != digest_of(("benchmarks/workers",))


# The parts.


@pytest.mark.parametrize("part", PARTS.values(), ids=lambda part: part.name)
def test_parts_are_sound(part: Part, setting: Setting) -> None:
    assert PARTS[part.name] is part
    names = [c.name for c in part.contestants]
    assert len(set(names)) == len(names)
    for contestant in part.contestants:
        assert (FOLDER / "workers" / f"{contestant.worker}.py").exists()
        assert contestant.environment in {environments.OWN, *environments.ENVIRONMENTS}
        for preparation in contestant.preparations(setting):
            assert (FOLDER / "prepare" / f"{preparation.module}.py").exists()
            assert all((ROOT / source).exists() for source in preparation.sources)
    for ratio in part.ratios:
        assert {ratio.over, *ratio.under} <= set(names)
    blocks = part.blocks(setting)
    assert len({block.name for block in blocks}) == len(blocks)
    for found in blocks:
        cases = [(case.contestant, case.name) for case in found.cases]
        assert len(set(cases)) == len(cases)
        assert {who for who, _ in cases} <= set(names)
        assert all(case.units > 0 for case in found.cases)
        json.dumps([case.work for case in found.cases])


# The documented commands.

PARSERS = {
    "benchmarks.peers": peers.parser,
    "benchmarks.ops": ops.parser,
    "benchmarks.report": report.parser,
}


def documented() -> Iterator[tuple[str, list[str]]]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)
    for line in "".join(blocks).splitlines():
        words = shlex.split(line, comments=True)
        if "-m" in words:
            at = words.index("-m")
            yield words[at + 1], words[at + 2 :]


def test_documented_commands_parse() -> None:
    found = list(documented())
    assert {module for module, _ in found} >= set(PARSERS)
    for module, arguments in found:
        if module in PARSERS:
            PARSERS[module]().parse_args(arguments)


def test_documented_options_and_parts_exist() -> None:
    text = README.read_text("utf-8")
    options = set(re.findall(r"`(--[a-z-]+)", text))
    scripts = " ".join(path.read_text("utf-8") for path in FOLDER.glob("*.py"))
    known = {o for make in PARSERS.values() for o in make()._option_string_actions}
    known |= set(re.findall(r"add(?:_argument)?\(\s*\"(--[a-z-]+)\"", scripts))
    assert options <= known
    assert options >= set(peers.parser()._option_string_actions) - {"-h", "--help"}
    assert set(PARTS) <= set(re.findall(r"`(\w+)`", text))


def test_unknown_parts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        peers.main(["--parts", "start,speed"])
    assert "no parts speed (there are start" in capsys.readouterr().err


def test_a_user_without_a_home_is_asked_for_a_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def homeless(*_: str) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("INT8REF_PEERS", raising=False)
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_path", homeless)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(SystemExit) as ended:
        peers.main(["--parts", "start"])
    assert ended.value.code == 2
    assert "say --cache FOLDER: could not determine" in capsys.readouterr().err
    assert list(environments._candidates("0.1", {})) == []


def test_what_is_missing_is_skipped_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--parts", "tiny11", "--cache", str(tmp_path), "--shared", str(tmp_path)]
    assert peers.main(given) == 0
    text = (tmp_path / "results" / "report.md").read_text()
    assert "Not measured: all: there is no data/testsets/flores-dev/en.dev" in text
    assert peers.main([*given, "--rounds", "9"]) == 1
    assert "--fresh" in capsys.readouterr().err
