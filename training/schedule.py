"""The learning rate over the steps."""

from __future__ import annotations

import math

from training.config import Optim


def factor(optim: Optim, step: int) -> float:
    """The rate at step = 1, 2, ... over its peak; inverse square root with linear warm-up:

    min(step / warmup, sqrt(warmup / step)) * min(1, (steps - step + 1) / cooldown),

    the last factor, linear to zero, only with cooldown > 0.
    """
    rate = min(step / optim.warmup, math.sqrt(optim.warmup / step))
    if optim.cooldown:
        rate *= min(1.0, (optim.steps - step + 1) / optim.cooldown)
    return rate
