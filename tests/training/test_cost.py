from __future__ import annotations

from pathlib import Path

import pytest

from training.config import load
from training.cost import disk, weights, work

CONFIGS = sorted((Path(__file__).parents[2] / "training" / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])
def test_weights_are_those_of_the_network(path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")
    from training.model.transformer import Transformer

    config = load(path)
    with torch.device("meta"):
        model = Transformer(config.model, config.data.vocabulary)
    found = weights(config.model, config.data.vocabulary)
    assert found.total == sum(p.numel() for p in model.parameters())
    assert found.table == model.embedding.weight.numel()
    encoder = model.encoder.parameters() if model.encoder else ()
    assert found.encoder == sum(p.numel() for p in encoder)


def test_work_and_disk_grow_with_the_run() -> None:
    path = next(path for path in CONFIGS if path.stem == "wmt14-en-de")
    one, two = load(path), load(path, ("optim.steps = 200000", "report.average_last = 15"))
    assert work(two) == 2 * work(one)
    assert work(one) == pytest.approx(6 * 100_000 * 8 * 4096 * 60_530_816, rel=1e-3)
    assert disk(two) - disk(one) == 10 * 4 * weights(one.model, 32000).total
