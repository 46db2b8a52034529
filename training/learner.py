"""A model with its loss: the part of a step that has gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.batches import Batch
from training.config import Config, Optim
from training.model.linear import is_narrow
from training.model.loss import smoothed_cross_entropy
from training.model.transformer import Transformer
from training.prepare import PAD


class Learner(nn.Module):
    """Returns the loss of a batch and the mean negative log likelihood of its labels."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.model = Transformer(config.model, config.data.vocabulary)
        self.smoothing = config.optim.label_smoothing
        self.narrow = is_narrow(config.model.precision)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        real = batch.labels != PAD
        states = self.model(batch.source, batch.inputs)[real]
        weight = self.model.embedding.weight
        return smoothed_cross_entropy(
            states, weight, batch.labels[real], self.smoothing, self.narrow
        )


def optimizer(config: Optim, learner: Learner) -> torch.optim.Optimizer:
    """Return Adam, or gradient descent with Nesterov's momentum."""
    parameters = learner.model.parameters()
    if config.kind == "nesterov":
        return torch.optim.SGD(
            parameters, config.learning_rate, momentum=config.momentum, nesterov=True
        )
    betas = config.beta1, config.beta2
    return torch.optim.Adam(parameters, betas=betas, eps=config.epsilon, fused=True)
