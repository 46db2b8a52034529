"""Trains a model from text files:  python -m training.train CONFIG.toml --out FOLDER

The folder receives data/ (ids, tokenizer), log.jsonl, resume.pt and snapshots.  At the end it
receives NAME.safetensors and NAME.tokenizer.model.  The same command resumes a run after a kill.
The weights are then equal, bit for bit, to the weights of a run without a kill.

torchrun --nproc-per-node N -m training.train CONFIG.toml --out FOLDER --device cuda

trains on N GPUs.  N must divide `optim.batches_per_step`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training import checkpoint, evaluate, export
from training.batches import Batches, Ints, ParallelBatches, StreamBatches, from_position
from training.config import Config, Data, Model, Optim, load, section
from training.learner import Learner, optimizer
from training.prepare import prepare
from training.processes import Processes, join
from training.run_files import BEAMS, CONFIG, LOG, SCORES, SPLITS, write_json
from training.schedule import learning_rate

ALONE = Processes(0, 1, torch.device("cpu"))


class Trainer:
    """The state of a run: model, optimiser, random numbers, and the position in the data."""

    def __init__(
        self, config: Config, data: Path, folder: Path, processes: Processes = ALONE
    ) -> None:
        self.config, self.data, self.folder, self.processes = config, data, folder, processes
        if config.optim.batches_per_step % processes.count:
            raise ValueError(
                f"{processes.count} processes cannot share optim.batches_per_step ="
                f" {config.optim.batches_per_step} equally"
            )
        torch.manual_seed(config.optim.seed)
        self.learner = Learner(config)
        self.model = self.learner.model
        self.shared = processes.shared(self.learner)
        self.optimizer = optimizer(config.optim, self.learner)
        self.batches: Batches = open_batches(config, data, "train")
        self.step, self.epoch, self.index = 0, 0, 0
        self.seconds = 0.0

    def state(self) -> dict[str, Any]:
        return {
            "config": settings(self.config),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "position": [self.step, self.epoch, self.index],
            "seconds": self.seconds,
        }

    def resume(self) -> None:
        """Continue from resume.pt if it exists.  Raises `ValueError` for another configuration."""
        path = self.folder / checkpoint.RESUME
        if not path.exists():
            return
        state = checkpoint.load(path)
        if with_defaults(state["config"]) != settings(self.config):
            raise ValueError(f"{path} belongs to another configuration; choose another folder")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        self.step, self.epoch, self.index = state["position"]
        self.seconds = state["seconds"]
        self.processes.wait()
        if self.processes.first:
            self.trim_log()

    def trim_log(self) -> None:
        """Remove the log lines after the checkpoint, because these steps run again."""
        log = self.folder / LOG
        lines = log.read_text(encoding="utf-8").splitlines(True) if log.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] <= self.step]
        log.write_text("".join(kept), encoding="utf-8")

    def update(self, parts: list[Ints]) -> tuple[float, int]:
        """Take one step on the batches `parts`.

        Returns the negative log likelihood of the labels that this process saw, and their number.
        The loss is the mean over the labels of all parts.
        """
        total = sum(self.batches.count(rows) for rows in parts)
        each = len(parts) // self.processes.count
        mine = range(self.processes.rank * each, (self.processes.rank + 1) * each)
        self.optimizer.zero_grad(set_to_none=True)
        likelihood, labels = 0.0, 0
        for part in mine:
            if self.config.optim.batches_per_step > 1 or self.processes.device.type != "cpu":
                torch.manual_seed(noise_seed(self.config.optim.seed, self.step, part))
            batch = self.batches.batch(parts[part]).to(self.processes.device)
            count = self.batches.count(parts[part])
            # Gradients are summed over the processes only once a step.
            more = self.processes.count > 1 and part != mine[-1]
            with self.shared.no_sync() if more else nullcontext():  # type: ignore[operator]
                loss, nll = self.shared(batch)
                torch.autograd.backward(loss * (count / total))
            likelihood += float(nll) * count
            labels += count
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optim.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config.optim, self.step + 1)
        self.optimizer.step()
        return likelihood, labels

    def run(self) -> None:
        """Train to the last step."""
        report, optim = self.config.report, self.config.optim
        self.model.train()
        clock, saved = self.clock(), time.monotonic()
        tokens, nll_sum = 0.0, 0.0
        stream = from_position(self.batches, self.epoch, self.index)
        last = optim.steps * optim.cycles
        while self.step < last:
            planned = [next(stream) for _ in range(optim.batches_per_step)]
            likelihood, count = self.update([rows for _, _, rows in planned])
            nll_sum += likelihood
            tokens += count
            self.step += 1
            self.epoch, index, _ = planned[-1]
            self.index = index + 1
            if self.step % report.log_steps == 0:
                spent, clock = self.clock() - clock, self.clock()
                self.seconds += spent
                nll_sum, tokens = self.processes.total(nll_sum, tokens)
                self.log(
                    nll=nll_sum / tokens,
                    rate=learning_rate(optim, self.step),
                    tokens_per_second=round(tokens / spent),
                )
                tokens, nll_sum = 0.0, 0.0
            if not self.processes.first:
                continue
            if self.step % report.average_steps == 0 or self.step == last:
                weights = self.model.state_dict()
                checkpoint.save_snapshot(self.folder, self.step, weights, report.average_last)
            if self.step % report.valid_steps == 0:
                self.log(**self.validate())
                clock = self.clock()
            if time.monotonic() - saved > report.save_seconds or self.step == last:
                checkpoint.save(self.folder / checkpoint.RESUME, self.state())
                saved = time.monotonic()

    def clock(self) -> float:
        """Return the seconds of this process.  Processor time stops while a process is paused."""
        cpu = self.processes.device.type == "cpu"
        return time.process_time() if cpu else time.monotonic()

    def validate(self) -> dict[str, float]:
        count = self.config.report.valid_lines
        if self.config.model.encoder_layers == 0:
            length = self.config.data.max_length
            return evaluate.language_model(self.model, self.data, "valid", length, count)
        return evaluate.translation(self.model, self.data, "valid", count)

    def log(self, **values: float) -> None:
        if not self.processes.first:
            return
        rounded = {k: round(v, 6 if k == "rate" else 3) for k, v in values.items()}
        line = {"step": self.step, "epoch": self.epoch, "seconds": round(self.seconds)} | rounded
        print(" ".join(f"{k} {v}" for k, v in line.items()), flush=True)
        with (self.folder / LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def finish(self) -> Path:
        """Average the last snapshots, score valid and test, and export."""
        report = self.config.report
        paths = checkpoint.snapshots(self.folder)[-report.average_last :]
        self.model.load_state_dict(checkpoint.average(paths))
        scores: dict[str, dict[str, float]] = {}
        for split in SPLITS:
            if self.config.model.encoder_layers == 0:
                length = self.config.data.max_length
                scores[split] = evaluate.language_model(self.model, self.data, split, length)
            else:
                for beam in BEAMS:
                    found = evaluate.translation(self.model, self.data, split, beam=beam)
                    scores[f"{split} beam {beam}"] = found
        write_json(self.folder / SCORES, scores)
        return export.export(self.model, self.config, self.data, self.folder)


def open_batches(config: Config, data: Path, split: str) -> Batches:
    limits = (config.optim.batch_tokens, config.data.max_length, config.optim.seed)
    kind = ParallelBatches if config.model.encoder_layers else StreamBatches
    return kind(data, split, *limits)


def noise_seed(seed: int, step: int, part: int) -> int:
    """Return the seed of the dropout of one batch.  No process and no earlier batch changes it."""
    return int(np.random.SeedSequence([seed, step, part]).generate_state(1, np.uint64)[0])


def settings(config: Config) -> str:
    """Return the settings that determine the weights of a step.

    The intervals of reports and the number of cycles are not part of them.
    """
    parts = {key: dataclasses.asdict(getattr(config, key)) for key in ("data", "model", "optim")}
    del parts["optim"]["cycles"]
    return json.dumps(parts, sort_keys=True)


def with_defaults(stored: str) -> str:
    """Return stored settings.  A key that is newer than the checkpoint has its default."""
    table = json.loads(stored)
    parts = {
        "data": section(Data, table["data"], "data"),
        "model": section(Model, table["model"], "model"),
        "optim": section(Optim, table["optim"], "optim"),
    }
    return settings(Config(name="", **parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(os.environ.get("INT8REF_SHARED", "../shared")) / "data",
        help="folder the text files of the configuration are relative to",
    )
    parser.add_argument("--set", action="append", default=[], help="override, as: optim.seed = 2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = load(arguments.config, tuple(arguments.set))
    data, processes = arguments.out / "data", join(arguments.device)
    if processes.first:
        prepare(config.data, arguments.root, data)
    processes.wait()
    trainer = Trainer(config, data, arguments.out, processes)
    trainer.resume()
    if processes.first:
        write_json(arguments.out / CONFIG, dataclasses.asdict(config))
        size = sum(p.numel() for p in trainer.model.parameters())
        print(f"{config.name}: {size} parameters, from step {trainer.step}", flush=True)
    trainer.run()
    processes.leave()
    if processes.first:
        print(trainer.finish())


if __name__ == "__main__":
    main()
