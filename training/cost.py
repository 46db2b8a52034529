"""Estimates what a run needs, from its configuration:  python -m training.cost CONFIG.toml ...

Nothing is measured.  The formulas are:

    weights     4 (d^2 + d) for an attention, 2 d f + f + d for a feed-forward part, 2 d for a norm,
                vocabulary * d for the table
    work        6 * steps * tokens * (weights of the products that a token meets), in operations;
                tokens = batch_tokens * batches_per_step, a source and a target token are a pair
    hours       work / (GPUs * peak * share of the peak that is reached)
    disk        4 bytes * weights * (2 + states of the optimiser + snapshots that are averaged)

The products of attention scores and the norms are not counted, because they are a few per cent.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from training.config import Config, Model, load


@dataclass(frozen=True)
class Weights:
    """Numbers of weights by place."""

    encoder: int
    decoder: int
    table: int

    @property
    def total(self) -> int:
        return self.encoder + self.decoder + self.table


def weights(model: Model, vocabulary: int) -> Weights:
    """Return the numbers of trained weights."""
    d, f = model.d_model, model.ffn
    attention = 4 * (d * d + d) + (2 * model.heads if model.attention == "polynomial" else 0)
    contract, norm = 2 * d * f + f + d, 2 * d
    last = norm if model.norm_position == "pre" else 0
    alone = attention + contract + 2 * norm
    translates = model.encoder_layers > 0
    decoder_layer = alone + (attention + norm if translates else 0)
    return Weights(
        encoder=model.encoder_layers * alone + (last if translates else 0),
        decoder=model.decoder_layers * decoder_layer + last,
        table=vocabulary * d,
    )


def work(config: Config) -> float:
    """Return the floating-point operations of all steps, forward and backward."""
    optim, found = config.optim, weights(config.model, config.data.vocabulary)
    return 6.0 * optim.steps * optim.batch_tokens * optim.batches_per_step * found.total


def disk(config: Config) -> int:
    """Return the bytes of the checkpoints of a run."""
    states = 1 if config.optim.kind == "nesterov" else 2
    total = weights(config.model, config.data.vocabulary).total
    return 4 * total * (2 + states + config.report.average_last)


def main(command: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("configs", type=Path, nargs="+")
    parser.add_argument("--peak", type=float, default=312e12, help="operations/s of a GPU in bf16")
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--share", type=float, default=0.2, help="of the peak that is reached")
    arguments = parser.parse_args(command)
    speed = arguments.peak * arguments.gpus * arguments.share
    print("| recipe | weights, million | steps | tokens a step | operations | hours | disk, GB |")
    print("|---|---|---|---|---|---|---|")
    for path in arguments.configs:
        config = load(path)
        optim, total = config.optim, weights(config.model, config.data.vocabulary).total
        tokens = optim.batch_tokens * optim.batches_per_step
        cells = path.stem, f"{total / 1e6:.1f}", f"{optim.steps:,}", f"{tokens:,}"
        last = (
            f"{work(config):.1e}",
            f"{work(config) / speed / 3600:.1f}",
            f"{disk(config) / 1e9:.1f}",
        )
        print(f"| {' | '.join((*cells, *last))} |")


if __name__ == "__main__":
    main()
