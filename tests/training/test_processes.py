"""Several processes of torchrun, on the processor with gloo, beside one process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")

from training import checkpoint  # noqa: E402

CONFIG = """
name = "toy"
[data]
train_source = ["toy.source"]
train_target = ["toy.target"]
held_out = [6, 7]
vocabulary = 40
[model]
d_model = 16
heads = 2
ffn = 24
encoder_layers = 1
decoder_layers = 1
attention = "polynomial"
norm = "l1"
dropout = 0.1
max_positions = 64
[optim]
steps = 40
batch_tokens = 100
batches_per_step = 4
warmup = 4
[report]
log_steps = 10
valid_steps = 20
valid_lines = 2
average_steps = 20
average_last = 1
save_seconds = 0.0
"""


def command(root: Path, folder: Path, processes: int, *options: str) -> list[str]:
    (root / "toy.toml").write_text(CONFIG)
    module = ["training.train", str(root / "toy.toml"), "--out", str(folder), "--root", str(root)]
    start = [sys.executable, "-m"]
    if processes > 1:
        # torchrun's choice of a free port by itself may meet a port that is taken meanwhile.
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        start += ["torch.distributed.run", "--nnodes=1", f"--nproc-per-node={processes}"]
        start += ["--master-addr=127.0.0.1", f"--master-port={port}", "-m"]
    return [*start, *module, *options]


def train(root: Path, folder: Path, processes: int, *options: str) -> str:
    found = subprocess.run(
        command(root, folder, processes, *options), capture_output=True, text=True, timeout=300
    )
    return "" if found.returncode == 0 else found.stderr


def weights(folder: Path) -> torch.Tensor:
    (path,) = checkpoint.snapshots(folder)
    return torch.cat([value.flatten() for value in checkpoint.load(path).values()])


def losses(folder: Path) -> list[float]:
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line["nll"] for line in lines if "nll" in line]


def test_two_processes_take_the_steps_of_one_bit_for_bit(toy_root: Path, tmp_path: Path) -> None:
    """With two batches a step both sums have two terms, and dropout depends on the batch alone."""
    options = "--set", "optim.batches_per_step=2"
    for processes in (1, 2):
        assert train(toy_root, tmp_path / str(processes), processes, *options) == ""
    assert torch.equal(weights(tmp_path / "1"), weights(tmp_path / "2"))
    assert losses(tmp_path / "1") == losses(tmp_path / "2")
    assert losses(tmp_path / "2")[-1] < losses(tmp_path / "2")[0]


@pytest.mark.slow
def test_killed_processes_resume_bit_for_bit(toy_root: Path, tmp_path: Path) -> None:
    assert train(toy_root, tmp_path / "whole", 2, "--set", "optim.steps=80") == ""
    cut = tmp_path / "cut"
    started = command(toy_root, cut, 2, "--set", "optim.steps=80")
    victim = subprocess.Popen(started, start_new_session=True, stderr=subprocess.DEVNULL)
    while not (cut / checkpoint.RESUME).exists() and victim.poll() is None:
        time.sleep(0.01)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    step = checkpoint.load(cut / checkpoint.RESUME)["position"][0]
    assert 0 < step < 80
    assert train(toy_root, cut, 2, "--set", "optim.steps=80") == ""
    assert torch.equal(weights(tmp_path / "whole"), weights(cut))
    assert train(toy_root, tmp_path / "four", 4, "--set", "optim.steps=80") == ""
    torch.testing.assert_close(weights(tmp_path / "four"), weights(cut), rtol=0.02, atol=0.02)


def test_batches_must_be_shared_equally(toy_root: Path, tmp_path: Path) -> None:
    from toy import toy_config

    from training.processes import Processes
    from training.train import Trainer

    processes = Processes(0, 3, torch.device("cpu"))
    with pytest.raises(ValueError, match="3 processes cannot share"):
        Trainer(toy_config(optim={"batches_per_step": 4}), tmp_path, tmp_path, processes)
