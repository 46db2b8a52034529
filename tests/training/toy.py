"""A toy parallel text, prepared once.  The target spells each word of the source backwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.config import Config, build

WORDS = [a + b for a in "bdfghklmnprst" for b in "aeiou"]


def toy_config(**sections: dict[str, object]) -> Config:
    """Return the configuration of a small run.  Keyword tables override its sections."""
    table: dict[str, dict[str, object]] = {
        "data": {
            "train_source": ["toy.source"],
            "train_target": ["toy.target"],
            "held_out": [6, 7],
            "vocabulary": 40,
        },
        "model": {
            "d_model": 16,
            "heads": 2,
            "ffn": 24,
            "encoder_layers": 2,
            "decoder_layers": 1,
            "attention": "polynomial",
            "norm": "l1",
            "dropout": 0.1,
            "max_positions": 64,
        },
        "optim": {"steps": 8, "batch_tokens": 200, "warmup": 4},
        "report": {
            "log_steps": 4,
            "valid_steps": 100,
            "average_steps": 2,
            "average_last": 2,
            "save_seconds": 1e9,
        },
    }
    for name, values in sections.items():
        table[name] |= values
    return build({"name": "toy", **table})


def write_text(root: Path) -> None:
    rng = np.random.default_rng(7)
    source = [" ".join(rng.choice(WORDS, rng.integers(2, 9))) for _ in range(120)]
    target = [" ".join(reversed(line.split())) for line in source]
    (root / "toy.source").write_text("".join(f"{line}\n" for line in source))
    (root / "toy.target").write_text("".join(f"{line}\n" for line in target))
