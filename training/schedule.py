"""The learning rate over the steps."""

from __future__ import annotations

import math

from training.config import Optim


def learning_rate(optim: Optim, step: int) -> float:
    """Return the rate of step = 1, 2, ... with linear warm-up.

    The schedule "inverse_sqrt" is

        peak * min(step / warmup, sqrt(warmup / step)) * min(1, left / cooldown),

    where left = steps - (step - 1) mod steps is the number of steps from this step to the end of
    the cycle.  With cooldown > 0, every cycle ends with a linear fall to zero.  The next cycle
    begins at the value of the inverse square root.

    The schedule "cosine" falls along half a cosine to zero in every cycle:

        peak * min(1, place / warmup) * (1 + cos(pi * passed)) / 2,

    where place = (step - 1) mod steps + 1 and passed = max(0, place - warmup) / (steps - warmup).
    """
    if optim.schedule == "cosine":
        place = (step - 1) % optim.steps + 1
        passed = max(0, place - optim.warmup) / max(1, optim.steps - optim.warmup)
        fall = (1 + math.cos(math.pi * passed)) / 2
        return optim.learning_rate * min(1.0, place / optim.warmup) * fall
    rate = optim.learning_rate * min(step / optim.warmup, math.sqrt(optim.warmup / step))
    if optim.cooldown:
        left = optim.steps - (step - 1) % optim.steps
        rate *= min(1.0, left / optim.cooldown)
    return rate
