"""Users and folders without a usable cache: all functions work, and one message reports it.

The processes are real.  Where the system allows it, they run as another user.
"""

from __future__ import annotations

import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from int8ref.host import storage
from tests.helpers.forbidding import mounted

ROOT = Path(__file__).parents[1]
NUMBER, ANOTHER = 54321, 12345
TOLD = "nothing can be kept in the cache folder"


class User:
    """A user who translates a sentence with the tiny model, without compiled code."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.model = folder / "tiny.safetensors"
        shutil.copy(model, self.model)
        self.environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        self.environment["HOME"] = str(self.home)
        self.program = [sys.executable, "-m", "int8ref.translate"]

    def run(self, **options: Any) -> tuple[bytes, list[str]]:
        """Return the translation and the messages."""
        arguments = ["-m", str(self.model), "--backend", "reference", "a cat"]
        done = subprocess.run(
            [*self.program, *arguments],
            env=self.environment,
            capture_output=True,
            timeout=60,
            check=False,
            **{"cwd": self.home, **options},
        )
        told = done.stderr.decode().splitlines()
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 1
        return done.stdout, told

    def is_told_once(self, folder: object = "", **options: Any) -> None:
        """Assert that one line names the folder and says that it cannot keep files."""
        _, (line,) = self.run(**options)
        assert line.startswith(f"int8ref: {TOLD} {folder}"), line
        assert "INT8REF_CACHE names another folder" in line


@pytest.fixture
def user(tmp_path: Path, tiny_file: Path) -> User:
    return User(tmp_path, tiny_file)


@pytest.fixture
def other(user: User) -> User:
    """A user without rights and without an entry in the user database.

    The fixture skips the test if the system allows no such user.  For the file system, this user is
    the user of the tests, and can therefore read the project.
    """
    enter = ["unshare", "--user", f"--map-user={NUMBER}", f"--map-group={NUMBER}"]
    try:
        able = subprocess.run([*enter, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        able = False
    if not able:
        pytest.skip("no namespace of users can be made here")
    user.program = [*enter, *user.program]
    return user


def give_away(*paths: Path) -> bool:
    """Give the files to another user.  Return whether the system allows this.

    If not, the function removes the owner's rights, so that they equal the rights of other users.
    """
    try:
        for path in paths:
            os.chown(path, ANOTHER, ANOTHER)
    except OSError:
        for path in reversed(paths):
            mode = path.stat().st_mode
            path.chmod(mode & ~stat.S_IRWXU | (mode & stat.S_IRWXO) << 6)
        return False
    return True


def cache(user: User) -> Path:
    """Return the cache folder of a user on this system."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "from int8ref.host.storage import cache_folder; print(cache_folder())",
        ],
        env=user.environment,
        cwd=user.home,
        capture_output=True,
        check=True,
    )
    return Path(told.stdout.decode().removesuffix("\n"))


def kept(folder: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in folder.iterdir())


def test_the_home_folder_of_another_user(other: User) -> None:
    other.home.chmod(0o700)
    give_away(other.home)
    other.is_told_once(other.home, cwd="/")


def test_a_user_without_home_and_entry(other: User, tmp_path: Path) -> None:
    """Kept files are in a temporary folder that disappears at the end."""
    del other.environment["HOME"]
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    other.environment["TMPDIR"] = str(temporary)
    other.is_told_once(temporary)
    assert list(temporary.iterdir()) == []
    assert list(other.home.iterdir()) == [], "no folder named ~"


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o744])
def test_a_cache_that_may_not_be_used(other: User, mode: int) -> None:
    folder = other.home / "cache"
    folder.mkdir(mode=mode)
    give_away(folder)
    other.environment["INT8REF_CACHE"] = str(folder)
    other.is_told_once(folder)


def test_a_cache_that_may_be_read_is_read(other: User) -> None:
    folder = other.home / "cache"
    other.environment["INT8REF_CACHE"] = str(folder)
    other.run()
    assert kept(folder) == ["unpacked"]
    give_away(folder, *folder.iterdir())
    assert other.run()[1] == []


@pytest.mark.parametrize("sticky", [False, True])
def test_files_that_another_user_keeps_to_himself(other: User, sticky: bool) -> None:
    folder = other.home / "cache"
    other.environment["INT8REF_CACHE"] = str(folder)
    out, _ = other.run()
    (file,) = folder.iterdir()
    file.chmod(0o600)
    folder.chmod(0o1777 if sticky else 0o777)
    if not give_away(folder, file) and sticky:
        pytest.skip("only root can give files to another user")
    if sticky:
        other.is_told_once(folder)
    else:
        assert other.run()[0] == out
        assert file.stat().st_uid != ANOTHER
        assert other.run() == (out, [])
    assert list(folder.iterdir()) == [file]


OBSTACLES: dict[str, Callable[[Path], str]] = {
    "a file": lambda home: str(touched(home / "file")),
    "below a file": lambda home: str(touched(home / "file") / "below"),
    "a link to nothing": lambda home: str(linked(home / "link", "nowhere/at/all")),
    "a link to itself": lambda home: str(linked(home / "link", "link")),
    "a long name": lambda home: str(home / ("x" * 300)),
    "a long path": lambda home: str(home / "/".join(["xyz"] * 2000)),
    "a device": lambda home: "/dev/null",
    "below a device": lambda home: "/dev/full/x",
    "a read-only file system": lambda home: "/proc/int8ref",
    "the home of nobody": lambda home: "~there-is-no-such-user/x",
}


def touched(path: Path) -> Path:
    path.touch()
    return path


def linked(path: Path, target: str) -> Path:
    path.symlink_to(target)
    return path


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
def test_what_is_no_folder(user: User, obstacle: Callable[[Path], str]) -> None:
    user.environment["INT8REF_CACHE"] = obstacle(user.home)
    before = sorted(user.home.iterdir())
    user.is_told_once()
    assert sorted(user.home.iterdir()) == before


NAMES = {
    "the home": ("~/x", "x"),
    "relative": ("a/b", "a/b"),
    "spaces": (" a b ", " a b "),
    "bytes": (os.fsdecode(b"\xff\xfe"), os.fsdecode(b"\xff\xfe")),
    "a line feed": ("a\nb", "a\nb"),
    "a link": ("link", "real"),
    "a tilde": ("./~", "~"),
}


@pytest.mark.parametrize(("name", "folder"), NAMES.values(), ids=NAMES)
def test_what_is_a_folder(user: User, name: str, folder: str) -> None:
    (user.home / "link").symlink_to("real")
    (user.home / "real").mkdir()
    user.environment["INT8REF_CACHE"] = name
    assert user.run()[1] == []
    assert kept(user.home / folder) == ["unpacked"]


def test_an_empty_name_is_none(user: User) -> None:
    user.environment["INT8REF_CACHE"] = ""
    assert user.run()[1] == []
    assert user.home in cache(user).parents
    assert kept(cache(user)) == ["unpacked"]


def test_a_tilde_that_no_shell_has_replaced(user: User) -> None:
    """Also in the variable XDG_CACHE_HOME."""
    user.environment["XDG_CACHE_HOME"] = "~/c"
    assert user.run()[1] == []
    assert not (user.home / "~").exists()
    assert kept(cache(user)) == ["unpacked"]


def test_a_current_folder_that_is_gone(user: User) -> None:
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    user.program = ["sh", "-c", script, "sh", sys.executable, "-m", "int8ref.translate"]
    user.environment["INT8REF_CACHE"] = "relative"
    user.is_told_once()


def test_a_limit_of_the_size_of_files(user: User) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    user.is_told_once(cache(user), preexec_fn=limit)
    assert list(cache(user).iterdir()) == [], "no half of a file"


def test_a_full_disk(user: User) -> None:
    with mounted(user.home / "cache", "size=4k") as enter:
        user.environment["INT8REF_CACHE"] = str(user.home / "cache")
        user.program = [*enter, *user.program]
        user.is_told_once(user.home / "cache")


def test_a_folder_that_is_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storage, "_complained", set())
    for _ in range(2):
        assert storage.keep(tmp_path / "cache" / "file", b"content")
        shutil.rmtree(tmp_path / "cache")
    assert not caplog.text


def test_what_killed_processes_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that a process is writing stays."""
    left, written = (tmp_path / f"{storage.TEMPORARY}{number}" for number in (1, 2))
    for path in (left, tmp_path / "a.lock"):
        path.touch()
    descriptor, _ = storage.locks.locked_file(iter([written]))
    monkeypatch.setattr(storage, "_tidied", set())
    assert storage.keep(tmp_path / "file", b"content")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "file", written])
    os.close(descriptor)
    assert storage.keep(tmp_path / "file", b"content")
    assert written.exists(), "once in a process is enough"
