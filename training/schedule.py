"""The learning rate over the steps."""

from __future__ import annotations

import math

from training.config import Optim


def learning_rate(optim: Optim, step: int) -> float:
    """Return the inverse square root with linear warm-up, for step = 1, 2, ...:

        peak * min(step / warmup, sqrt(warmup / step)) * min(1, left / cooldown),

    where left = steps - (step - 1) mod steps is the number of steps from this step to the end of
    the cycle.  With cooldown > 0, every cycle ends with a linear fall to zero.  The next cycle
    begins at the value of the inverse square root.
    """
    rate = optim.learning_rate * min(step / optim.warmup, math.sqrt(optim.warmup / step))
    if optim.cooldown:
        left = optim.steps - (step - 1) % optim.steps
        rate *= min(1.0, left / optim.cooldown)
    return rate
