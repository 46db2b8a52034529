from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")

from toy import toy_config  # noqa: E402

from training import checkpoint  # noqa: E402
from training.batches import Ints  # noqa: E402
from training.config import Config  # noqa: E402
from training.train import Trainer  # noqa: E402


def trained(config: Config, data: Path, folder: Path) -> Trainer:
    folder.mkdir(exist_ok=True)
    trainer = Trainer(config, data, folder)
    trainer.resume()
    trainer.run()
    return trainer


def weights(trainer: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


class KilledError(Exception):
    pass


@pytest.mark.parametrize("kind", ["translation", "language model"])
def test_resume_after_a_kill_is_bit_exact(kind: str, toy_data: Path, tmp_path: Path) -> None:
    model = {"encoder_layers": 0} if kind == "language model" else {}
    data = {"max_length": 16}
    whole = trained(toy_config(model=model, data=data), toy_data, tmp_path / "whole")

    config = toy_config(model=model, data=data, report={"save_seconds": 0.0})
    (tmp_path / "cut").mkdir()
    victim = Trainer(config, toy_data, tmp_path / "cut")
    update = victim.update

    def update_or_die(parts: list[Ints]) -> tuple[float, int]:
        if victim.step == 5:
            raise KilledError
        return update(parts)

    victim.update = update_or_die  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        victim.run()
    (tmp_path / "cut" / "resume.tmp").write_bytes(b"torn")
    with (tmp_path / "cut" / "log.jsonl").open("a") as log:
        log.write('{"step": 6, "nll": 0.0}\n')
    resumed = trained(config, toy_data, tmp_path / "cut")
    logged = (tmp_path / "cut" / "log.jsonl").read_text()
    steps = [json.loads(line)["step"] for line in logged.splitlines()]
    assert steps == [4, 8]
    assert torch.equal(weights(whole), weights(resumed))
    for one, other in zip(
        checkpoint.snapshots(tmp_path / "whole"),
        checkpoint.snapshots(tmp_path / "cut"),
        strict=True,
    ):
        assert one.name == other.name
        for name, value in checkpoint.load(one).items():
            assert torch.equal(value, checkpoint.load(other)[name])


def test_seed_alone_decides(toy_data: Path, tmp_path: Path) -> None:
    runs = [
        weights(trained(toy_config(optim={"seed": seed}), toy_data, tmp_path / str(place)))
        for place, seed in enumerate([1, 1, 2])
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_resume_refuses_another_configuration(toy_data: Path, tmp_path: Path) -> None:
    trained(toy_config(), toy_data, tmp_path)
    with pytest.raises(ValueError, match="belongs to another configuration"):
        Trainer(toy_config(model={"degree": 3}), toy_data, tmp_path).resume()


def test_a_finished_run_goes_on_for_another_cycle(toy_data: Path, tmp_path: Path) -> None:
    one, two = (toy_config(optim={"cycles": cycles}) for cycles in (1, 2))
    first = trained(one, toy_data, tmp_path / "continued")
    steps = first.step
    continued = trained(two, toy_data, tmp_path / "continued")
    assert continued.step == 2 * steps
    assert torch.equal(weights(continued), weights(trained(two, toy_data, tmp_path / "at once")))
    assert not torch.equal(weights(continued), weights(first))


def test_a_toy_task_is_learned(toy_data: Path, tmp_path: Path) -> None:
    optim = {"steps": 60, "learning_rate": 0.02, "warmup": 10}
    config = toy_config(optim=optim, report={"log_steps": 10})
    trained(config, toy_data, tmp_path)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [10, 20, 30, 40, 50, 60]
    assert log[-1]["nll"] < log[0]["nll"] - 0.5


def test_average_is_the_mean_of_the_last_snapshots(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        checkpoint.save_snapshot(tmp_path, step, {"w": torch.full((2,), float(step))}, keep=3)
    paths = checkpoint.snapshots(tmp_path)
    assert [p.name for p in paths] == [f"weights-000000{step}.pt" for step in (2, 3, 4)]
    assert checkpoint.average(paths)["w"].tolist() == [3.0, 3.0]
    with pytest.raises(ValueError, match="no snapshots"):
        checkpoint.average([])


def test_a_checkpoint_without_newer_keys_resumes(toy_data: Path, tmp_path: Path) -> None:
    trained(toy_config(), toy_data, tmp_path)
    path = tmp_path / checkpoint.RESUME
    state = checkpoint.load(path)
    settings = json.loads(state["config"])
    del settings["optim"]["kind"], settings["data"]["reverse"]
    checkpoint.save(path, state | {"config": json.dumps(settings)})
    resumed = Trainer(toy_config(), toy_data, tmp_path)
    resumed.resume()
    assert resumed.step == 8
    with pytest.raises(ValueError, match="belongs to another configuration"):
        Trainer(toy_config(optim={"kind": "nesterov"}), toy_data, tmp_path).resume()


def test_several_batches_a_step_are_one_larger_batch(toy_data: Path, tmp_path: Path) -> None:
    """Without dropout, the gradient of two batches is the gradient of the mean over all labels."""
    exact = {"dropout": 0.0, "precision": "float32"}
    config = toy_config(model=exact, optim={"batches_per_step": 2})
    trainer = Trainer(config, toy_data, tmp_path)
    parts = trainer.batches.plan(0)[:2]
    counts = [trainer.batches.count(rows) for rows in parts]
    wanted = []
    for rows in parts:
        trainer.optimizer.zero_grad(set_to_none=True)
        loss, _ = trainer.learner(trainer.batches.batch(rows))
        loss.backward()
        wanted.append([p.grad.clone() for p in trainer.model.parameters()])
    seen: list[torch.Tensor] = []
    trainer.optimizer.step = lambda: seen.extend(p.grad for p in trainer.model.parameters())
    trainer.config = toy_config(model=exact, optim={"batches_per_step": 2, "clip_norm": 1e9})
    _, labels = trainer.update(parts)
    assert labels == sum(counts)
    for found, one, two in zip(seen, *wanted, strict=True):
        mean = (one * counts[0] + two * counts[1]) / sum(counts)
        torch.testing.assert_close(found, mean)
