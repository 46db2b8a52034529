from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from training.config import Config, Optim, load
from training.schedule import learning_rate

CONFIGS = sorted((Path(__file__).parents[2] / "training" / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_loads(path: Path) -> None:
    assert load(path).name == path.stem


def test_standard_and_integer_differ_in_the_two_parts_alone() -> None:
    named = {path.stem: load(path) for path in CONFIGS}
    pairs = [(named[n], named[n.replace("standard", "integer")]) for n in named if "standard" in n]
    assert pairs
    for standard, integer in pairs:
        assert (standard.data, standard.optim) == (integer.data, integer.optim)
        ones, others = vars(standard.model), vars(integer.model)
        changed = {key: (ones[key], others[key]) for key in ones if ones[key] != others[key]}
        del changed["degree"]  # softmax has no degree
        assert changed == {"attention": ("softmax", "polynomial"), "norm": ("l2", "l1")}


def written(folder: Path, text: str) -> Path:
    (folder / "run.toml").write_text(text)
    return folder / "run.toml"


BASE = 'name = "x"\n[data]\ntrain_target = ["a"]\n[optim]\nsteps = 100\nwarmup = 10\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BASE + "stepz = 3\n", r"\[optim\] has unknown keys: stepz"),
        (BASE + "[extra]\n", "unknown keys: extra"),
        (BASE.replace("steps = 100\n", ""), r"\[optim\].*steps"),
        (BASE + '[model]\nnorm = "l3"\n', "model.norm = 'l3', but it must be one of l2, l1"),
        (BASE + '[model]\nprecision = "int8"\n', "must be one of auto, float32, bfloat16"),
        (BASE + "[model]\nd_model = 30\n", "no multiple of 2"),
        (BASE + "[model]\ndegree = 0\n", "needs at least 1"),
    ],
)
def test_a_wrong_configuration_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        load(written(tmp_path, text))


def test_an_override_replaces_one_key(tmp_path: Path) -> None:
    config: Config = load(written(tmp_path, BASE), ("optim.seed = 7", "model.degree = 3"))
    assert (config.optim.seed, config.optim.steps, config.model.degree) == (7, 100, 3)


def test_schedule_rises_falls_and_cools_down(tmp_path: Path) -> None:
    overrides = ("optim.learning_rate = 1.0", "optim.cooldown = 20")
    optim = load(written(tmp_path, BASE), overrides).optim
    rates = [learning_rate(optim, step) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([step / 10 for step in range(1, 11)])
    assert rates[39] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx((10 / 100) ** 0.5 / 20)
    assert all(one > other for one, other in itertools.pairwise(rates[9:]))
    again = [learning_rate(optim, step) for step in range(101, 201)]
    assert again[0] == pytest.approx((10 / 101) ** 0.5)
    assert again[-1] == pytest.approx((10 / 200) ** 0.5 / 20)


def test_a_cosine_rises_and_falls_to_zero_in_every_cycle() -> None:
    optim = Optim(steps=110, warmup=10, learning_rate=2.0, schedule="cosine")
    rates = [learning_rate(optim, step) for step in range(1, 221)]
    assert rates[:10] == pytest.approx([0.2 * step for step in range(1, 11)])
    assert rates[59] == pytest.approx(1.0)
    assert rates[9] == max(rates)
    assert sorted(rates[9:110], reverse=True) == rates[9:110]
    assert rates[109] == pytest.approx(0.0)
    assert rates[110:] == rates[:110]


@pytest.mark.parametrize("recipe", ["wmt16-en-ro", "wmt14-en-de", "wmt14-en-fr"])
def test_recipes_have_the_size_of_the_paper(recipe: str) -> None:
    config = load(next(path for path in CONFIGS if path.stem == recipe))
    model = config.model
    assert (model.encoder_layers, model.decoder_layers) == (6, 6)
    assert (model.d_model, model.ffn, model.heads) == (512, 2048, 8)
    assert (config.optim.kind, config.optim.warmup) == ("adam", 8000)
