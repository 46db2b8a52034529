"""The learning rate over the steps."""

from __future__ import annotations

import math

from training.config import Optim


def learning_rate(optim: Optim, step: int) -> float:
    """Inverse square root with linear warm-up, step = 1, 2, ...:

    peak * min(step / warmup, sqrt(warmup / step)) * min(1, (steps - step + 1) / cooldown),

    the last factor, linear to zero, only with cooldown > 0.
    """
    rate = optim.learning_rate * min(step / optim.warmup, math.sqrt(optim.warmup / step))
    if optim.cooldown:
        rate *= min(1.0, (optim.steps - step + 1) / optim.cooldown)
    return rate
