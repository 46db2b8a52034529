"""The documentation: commands run, options and files exist, and examples give the shown results."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from int8ref import score, translate
from int8ref.commands.table import COMMANDS, MAIN
from int8ref.files import embedded
from int8ref.files.model_file import model_hash
from tests.helpers.commands import PARSERS
from tests.helpers.snippets import FENCED, PAGES, snippets

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)[^)]*\)")
CODE = re.compile(r"`([^`\n]+)`")
FOLDERS = (
    "int8ref", "weights_import", "training", "tests", "docs", ".ci", "reference_c", "examples",
)  # fmt: skip
PYTHON = re.compile(r"Programming Language :: Python :: (\d+\.\d+)")
HERE = re.compile(r"<<'?(\w+)'?.*?^\1$", re.M | re.S)
"""A text within a command of a shell."""
OPTION = re.compile(r"(?<![\w-])(--?[a-z][a-z0-9-]*)")


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in one language."""
    return [s.code for s in snippets(page.read_text("utf-8")) if s.language == language]


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of every command of a shell on a page, without redirections."""
    for snippet in snippets(page.read_text("utf-8")):
        if snippet.language != "python":
            for line in HERE.sub("", snippet.commands).replace("\\\n", " ").splitlines():
                yield from simple(line)


def simple(line: str) -> Iterator[list[str]]:
    """Yield the words of every simple command of a line, without redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set(";&|()"):
            ends = [words.index(mark) for mark in ("<", ">") if mark in words]
            yield words[: min(ends, default=len(words))]
            words = []
        else:
            words.append(word)


def modules(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield (module, arguments) of every `python -m` and of every `int8ref` in a page."""
    for words in commands(page):
        for place, word in enumerate(words[:-2]):
            if Path(word).name in ("python", "python3") and words[place + 1] == "-m":
                yield words[place + 2], words[place + 3 :]
        if words[:1] == ["int8ref"]:
            yield COMMANDS[words[1]][0].removesuffix(MAIN), words[2:]


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return set(OPTION.findall(parser.format_help().split("\n\n", 1)[1].split("examples:")[0]))


OURS = [
    (page.name, module, arguments)
    for page in PAGES
    for module, arguments in modules(page)
    if module in PARSERS
]


def test_the_pages_have_commands() -> None:
    assert {module for _, module, _ in OURS} == set(PARSERS)


@pytest.mark.parametrize(("page", "module", "arguments"), OURS)
def test_commands_parse(page: str, module: str, arguments: list[str]) -> None:
    given = [word for word in arguments if not word.startswith("@")]  # files of options
    PARSERS[module]().parse_args(given)


def test_the_sha256_of_a_command_is_right() -> None:
    """A command of a page insists on a model of the package."""
    insisting = [a for _, _, a in OURS if "--sha256" in a]
    assert insisting
    for arguments in insisting:
        given = translate.parser().parse_args(arguments)
        path = embedded.path(given.model)
        assert path is not None
        assert given.sha256 == model_hash(path)


def test_the_page_tells_every_option() -> None:
    told = set(CODE.findall((ROOT / "docs" / "command-line.md").read_text("utf-8")))
    assert options_of(translate.parser()) <= told
    assert options_of(score.parser()) <= told


OTHERS = {"--strict", "--share"}
"""Options of commands for developers, and of other programs."""


OURS_ONLY = [page for page in PAGES if page.parent.name not in ("training", "benchmarks")]


@pytest.mark.parametrize("page", OURS_ONLY, ids=lambda page: page.name)
def test_options_exist(page: Path) -> None:
    """Every option in running text is an option of a command of this project."""
    known = set().union(*(options_of(build()) for build in PARSERS.values())) | OTHERS
    told = {
        option
        for code in CODE.findall(FENCED.sub("", page.read_text("utf-8")))
        if not code.startswith(("python", "pip"))
        for option in OPTION.findall(code)
        if option.startswith("--")
    }
    assert told <= known


def test_installing_is_what_the_project_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    first, *_, second = blocks(README, "sh")
    for block, install, extra in ((first, "", "models"), (second, "-e ", "test")):
        assert f'python -m pip install {install}".[{extra}]"\n' in block
        assert extra in project["optional-dependencies"]
    least = project["requires-python"].removeprefix(">=")
    assert f"Python {least}" in README.read_text("utf-8")
    named = [PYTHON.fullmatch(text) for text in project["classifiers"]]
    assert next(match[1] for match in named if match) == least


def test_ci_runs_the_tests_as_the_readme_does() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    *_, test = (words for words in commands(README) if "pytest" in words)
    assert test[0] == "python"
    assert f"\npython {' '.join(test[1:])} " in ci
    assert '-e ".[test]"' in ci


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    linked = [link for link in LINK.findall(text) if "://" not in link]
    missing = [link for link in linked if not (page.parent / link).exists()]
    for code in CODE.findall(FENCED.sub("", text)):
        path = code.split(":")[0]
        if path.startswith(tuple(f"{folder}/" for folder in FOLDERS)) and "NAME" not in path:
            missing += [] if (ROOT / path).exists() else [path]
    assert missing == []


def test_names_in_contributing_exist() -> None:
    """Checks the constants and functions in CONTRIBUTING: `NAME` in `path`."""
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    found = re.findall(r"`(\w+)` (?:in|of) `([\w/]+\.py)`", page)
    assert len(found) >= 8
    for name, path in found:
        source = (ROOT / path).read_text()
        assert re.search(rf"^(    )?(def |class )?{name}\b", source, re.MULTILINE), (path, name)


def test_no_figure_is_missing() -> None:
    assert "{{" not in README.read_text("utf-8")


def test_the_first_blocks_are_typed_one_after_the_other() -> None:
    """The command `python` exists only after the activation of the environment."""
    lines = [line for block in blocks(README, "sh") for line in block.splitlines()]
    active = next(i for i, line in enumerate(lines) if line == ". .venv/bin/activate")
    assert lines[active - 1] == "python3 -m venv .venv"
    assert lines[active + 1] == 'python -m pip install ".[models]"'
    assert not any(re.search(r"\bpython\b", line) for line in lines[:active])
    assert not any(".venv/bin/p" in line for line in lines)
    windows = README.read_text("utf-8")
    assert "`py -m venv .venv` and `.venv\\Scripts\\activate`" in windows


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell types it")
def test_a_newcomer_types_the_first_block(tmp_path: Path) -> None:
    """A new copy of the project, a new home folder, and no Python except python3."""
    project, home, programs = (tmp_path / name for name in ("int8ref", "home", "bin"))
    copied = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, project, ignore=copied)
    home.mkdir()
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INT8REF")}
    environment = {**kept, "HOME": str(home), "PATH": f"{programs}:/usr/bin:/bin"}
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "XDG_CACHE_HOME", "PYTHONHOME"):
        environment.pop(name, None)

    def typed(text: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["sh", "-e"],
            input=text.encode(),
            cwd=project,
            env=environment,
            capture_output=True,
            check=False,
        )

    reached = typed("python3 -m pip download --quiet --no-deps --dest there platformdirs")
    if reached.returncode:
        pytest.skip(f"no packages can be installed: {reached.stderr.decode()[-200:]}")
    done = typed(blocks(README, "sh")[0])
    assert done.returncode == 0, done.stderr.decode()
    told = done.stderr.decode()
    assert "Traceback" not in told
    assert told.splitlines()[-1].endswith("done")
    assert done.stdout.decode().splitlines()[-1] == "Bom dia."
