"""The learning rate over the steps."""

from __future__ import annotations

import math

from training.config import Optim


def learning_rate(optim: Optim, step: int) -> float:
    """Inverse square root with linear warm-up, step = 1, 2, ...:

    peak * min(step / warmup, sqrt(warmup / step)) * min(1, left / cooldown),

    where left = steps - (step - 1) mod steps are the steps of the cycle from this one on: with
    cooldown > 0 every cycle ends in a fall to zero, linear, and the next begins where the root is.
    """
    rate = optim.learning_rate * min(step / optim.warmup, math.sqrt(optim.warmup / step))
    if optim.cooldown:
        left = optim.steps - (step - 1) % optim.steps
        rate *= min(1.0, left / optim.cooldown)
    return rate
