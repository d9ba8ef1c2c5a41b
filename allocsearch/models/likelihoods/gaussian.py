"""The Gaussian likelihood of continuous features."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from allocsearch.models.likelihoods.likelihood import Likelihood, channels_and_grid
from allocsearch.models.likelihoods.moments import smoothed_moments

# A standard deviation of 0.01 in units of the standardised data: the density of a feature that
# is constant, or of which two examples are alike, stays below 40.
MIN_LOG_VAR = 2 * math.log(0.01)


class Gaussian(Likelihood):
    """Independent normal features; the decoder gives the mean and the log variance of each.

    Means come first, channel by channel. Log variances below `MIN_LOG_VAR` count as that. Of
    features that are continuous this is a density, in units of the standardised data.

    Args:
        shape: Of one example: `(d,)`, `(H, W)` or `(C, H, W)`.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.channels, self.grid = channels_and_grid(shape)
        self.inputs = self.channels
        self.outputs = 2 * self.channels

    def prepare(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Values as they are, `(batch, features)`, float32; nothing is drawn."""
        return values.flatten(1).float()

    def encode(self, x: Tensor) -> Tensor:
        """X as it is, `(batch, features)`."""
        return x

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Log density in nats, `(..., batch)`, from `(..., batch, 2 * features)`."""
        mean, log_var = parameters.chunk(2, -1)
        log_var = log_var.clamp(min=MIN_LOG_VAR)
        squares = (x - mean).square() * (-log_var).exp()
        return -0.5 * (squares + log_var + math.log(2 * math.pi)).sum(-1)

    def mean(self, parameters: Tensor) -> Tensor:
        """Means, `(..., batch, features)`, in units of the standardised data."""
        return parameters.chunk(2, -1)[0]

    def marginal_parameters(self, values: Tensor) -> Tensor:
        """Mean and log variance of each feature, `(2 * features,)`, half an example added.

        The half examples are at -1 and +1, one standard deviation from the mean.
        """
        flat = values.flatten(1).double()
        mean, variance = smoothed_moments(len(flat), flat.sum(0), flat.square().sum(0))
        return torch.cat((mean, variance.log())).float()
