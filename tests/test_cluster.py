"""A corpus on a cluster of Ray: the bytes of the command, also if workers are lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from int8ref.cluster.worker import Block, Worker, sent
from int8ref.commands import output
from int8ref.errors import UserError
from int8ref.files.model_file import load, model_hash
from int8ref.options import Options
from tests.helpers.models import SENTENCES
from tests.helpers.processes import Command, run, start


def lines_of(number: int, result: object) -> list[str]:
    return output.text(number, result, output.Shown(None, None))  # type: ignore[arg-type]


def test_a_worker_checks_its_model(
    tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INT8REF_CACHE", str(tmp_path))
    model = sent(tiny_file, model_hash(tiny_file))
    options = Options(temperature=1, seed=3)
    whole = Worker(model, "reference", 2).translate(Block(0, [*SENTENCES]), options, lines_of)
    half = Worker(model, "reference", 3).translate(Block(2, [*SENTENCES[2:]]), options, lines_of)
    assert whole.lines[2:] == half.lines
    assert whole.error is None
    assert load(tiny_file).sha256 == model.sha256
    with pytest.raises(UserError):
        Worker(model._replace(sha256="0" * 64), "reference", 2)


def workers_under(process: int) -> list[int]:
    """Return the workers of a cluster that a process has started."""
    parents, names = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                names[int(folder.name)] = (folder / "cmdline").read_bytes()
                status = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(folder.name)] = int(status[1])

    def below(number: int) -> bool:
        return number == process or (number in parents and below(parents[number]))

    return [n for n in names if names[n].startswith(b"ray::Actor") and below(n)]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are found in /proc")
def test_lost_workers_are_replaced(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    source = tmp_path / "in.txt"
    source.write_text("".join(f"{SENTENCES[i % 5]} {i}\n" for i in range(12_000)))
    options: Command = ["-m", "en-de-tatoeba", "--temperature", "0.7"]
    python: Command = [sys.executable, "-m"]
    command = [*python, "int8ref.translate", *options, "-i", source, "-o", tmp_path / "whole"]
    assert run(command)[0] == 0
    cluster: Command = ["int8ref.corpus", *options, source, "-o", tmp_path / "out"]
    nothing = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    process = start([*python, *cluster, "--workers", "2", "--block-lines", "100"], **nothing)
    out, killed = tmp_path / "out" / "in.txt", 0
    seen = 0
    while process.poll() is None:
        now = out.stat().st_size if out.exists() else 0
        if now > seen and killed < 2 and (found := workers_under(process.pid)):
            os.kill(found[0], signal.SIGKILL)
            killed, seen = killed + 1, now + 50_000
        time.sleep(0.05)
    assert process.wait() == 0
    assert killed == 2
    assert out.read_bytes() == (tmp_path / "whole").read_bytes()
