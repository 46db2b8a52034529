"""The documentation: commands run, options and files exist, and examples give the shown results."""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from int8ref import score, translate
from int8ref.commands.spans import of_shard
from int8ref.files import embedded
from int8ref.files.model_file import model_hash, save
from tests.helpers.commands import PARSERS
from tests.helpers.encoders import build_encoder
from tests.helpers.many_languages import speaking
from tests.helpers.models import build_tiny_model
from tests.helpers.processes import TIMEOUT

ROOT = Path(__file__).parents[1]
READMES = [ROOT / name / "README.md" for name in ("training", "reference_c", "examples/rtl")]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *READMES])
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)[^)]*\)")
CODE = re.compile(r"`([^`\n]+)`")
FOLDERS = (
    "int8ref", "weights_import", "training", "tests", "docs", ".ci", "reference_c", "examples",
)  # fmt: skip
PYTHON = re.compile(r"Programming Language :: Python :: (\d+\.\d+)")
OPTION = re.compile(r"(?<![\w-])(--?[a-z][a-z0-9-]*)")


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in one language."""
    return [code for kind, code in BLOCK.findall(page.read_text("utf-8")) if kind == language]


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of every command in the shell blocks of a page, without redirections."""
    for block in blocks(page, "sh"):
        for line in block.splitlines():
            for command in line.split("&&"):
                words = shlex.split(command, comments=True)
                ends = [words.index(mark) for mark in "<>" if mark in words]
                yield words[: min(ends, default=len(words))]


def modules(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield (module, arguments) of every `python -m` in a page."""
    for words in commands(page):
        if "python" in Path(words[0]).name and words[1] == "-m":
            yield words[2], words[3:]


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
    PARSERS[module]().parse_args(arguments)


def chosen_model(folder: Path, tiny_file: Path, arguments: list[str]) -> Path:
    """Return the file of a tiny model, of many languages if the arguments choose a language."""
    if "--target-language" not in arguments:
        return tiny_file
    save(folder / "many.safetensors", speaking())
    return folder / "many.safetensors"


TRANSLATIONS = [arguments for _, module, arguments in OURS if module == "int8ref.translate"]


@pytest.mark.parametrize("arguments", TRANSLATIONS)
def test_translations_run(tmp_path: Path, tiny_file: Path, arguments: list[str]) -> None:
    """The tiny model replaces the real models."""
    options = translate.parser().parse_args(arguments)
    tiny_file = chosen_model(tmp_path, tiny_file, arguments)
    text = "The cat sat on the mat.\n\nO sol nasceu.\n"
    for name in options.input or ():
        content = text.encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    command = [sys.executable, "-m", "int8ref.translate", *arguments, "-m", str(tiny_file)]
    if options.sha256 is not None:
        command += ["--sha256", model_hash(tiny_file)]
    run = subprocess.run(
        [*command, "--backend", "reference"],
        input=text,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    one_line = options.text or options.signature
    expected = 1 if one_line else of_shard(text.count("\n"), options.shard, 0).lines
    for out in written(tmp_path / options.output) if options.output != "-" else [run.stdout]:
        lines = out.splitlines()
        numbers = {line.split(" ||| ")[0] for line in lines} if options.n_best else lines
        assert len(numbers) == expected


def written(output: Path) -> list[str]:
    """Return the texts of an output: a file, or a folder of files."""
    contents = {
        path: path.read_bytes() for path in (output.iterdir() if output.is_dir() else [output])
    }
    return [
        (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        for path, content in contents.items()
    ]


def test_the_sha256_of_a_command_is_right() -> None:
    """A command of a page insists on a model of the package."""
    insisting = [a for _, _, a in OURS if "--sha256" in a]
    assert insisting
    for arguments in insisting:
        given = translate.parser().parse_args(arguments)
        path = embedded.path(given.model)
        assert path is not None
        assert given.sha256 == model_hash(path)


SCORES = [arguments for _, module, arguments in OURS if module == "int8ref.score"]


@pytest.mark.parametrize("arguments", SCORES)
def test_scores_run(tmp_path: Path, tiny_file: Path, arguments: list[str]) -> None:
    tiny_file = chosen_model(tmp_path, tiny_file, arguments)
    for name in score.parser().parse_args(arguments).files:
        (tmp_path / name).write_text("The cat\n\nO sol\n")
    command = [sys.executable, "-m", "int8ref.score", *arguments, "-m", str(tiny_file)]
    out = subprocess.check_output(
        [*command, "--backend", "reference"],
        input="The cat\tO gato\n\t\nO sol\tthe sun\n",
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        timeout=TIMEOUT,
    )
    assert len(out.splitlines()) == 3


def test_the_page_tells_every_option() -> None:
    told = set(CODE.findall((ROOT / "docs" / "command-line.md").read_text("utf-8")))
    assert options_of(translate.parser()) <= told
    assert options_of(score.parser()) <= told


OTHERS = {"--strict", "--share"}
"""Options of commands for developers, and of other programs."""


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.parent.name != "training"], ids=lambda page: page.name
)
def test_options_exist(page: Path) -> None:
    """Every option in running text is an option of a command of this project."""
    known = set().union(*(options_of(build()) for build in PARSERS.values())) | OTHERS
    told = {
        option
        for code in CODE.findall(BLOCK.sub("", page.read_text("utf-8")))
        if not code.startswith(("python", "pip"))
        for option in OPTION.findall(code)
        if option.startswith("--")
    }
    assert told <= known


def test_installing_is_what_the_project_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    first, second = blocks(README, "sh")[:2]
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
    for code in CODE.findall(BLOCK.sub("", text)):
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


def test_the_python_of_the_readme_runs(tmp_path: Path, tiny_file: Path) -> None:
    (program,) = blocks(README, "python")
    assert "load_engine" in program
    shutil.copy(tiny_file, tmp_path / "model.safetensors")
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "encoder.norm int8 (4, 16)" in run.stdout


def programs() -> list[str]:
    """Return the programs of the page that have no results."""
    return [b for b in blocks(ROOT / "docs" / "python.md", "python") if ">>>" not in b]


def test_the_encoders_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save("minilm.safetensors", build_encoder())
    save("sentiment.safetensors", build_encoder("labels"))
    names: dict[str, Any] = {}
    (program,) = (b for b in programs() if "dot_products" in b)
    exec(program, names)
    assert names["vectors"].shape == (2, 16)
    assert 0.5 < names["cosines"][0, 0] < 1.5
    assert names["found"].label in names["classifier"].labels


def test_many_languages_of_the_page_run(tmp_path: Path) -> None:
    (program,) = (b for b in programs() if "target_language" in b)
    save(tmp_path / "nllb.safetensors", speaking())
    told = subprocess.check_output(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        timeout=TIMEOUT,
    )
    first, *_, last = told.splitlines()
    assert first == "('eng_Latn', 'por_Latn', 'zho_Hans') None"
    assert float(last) < 0


def test_the_language_model_of_the_page_runs(tmp_path: Path) -> None:
    (program,) = (b for b in programs() if "perplexity" in b)
    save(tmp_path / "stories.safetensors", build_tiny_model(4, "decoder"))
    command = [sys.executable, "-W", "error", "-c", program]
    told = subprocess.check_output(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        timeout=TIMEOUT,
    )
    text, words, score = told.rsplit("\n", 3)[:3]
    assert text.startswith("Once upon a time")
    assert float(words.split()[0]) > float(words.split()[1]) > 1
    assert float(score) < 0


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
