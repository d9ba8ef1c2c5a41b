"""The Bernoulli likelihood of binary features."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from allocsearch.models.likelihoods.likelihood import Likelihood, channels_and_grid


class Bernoulli(Likelihood):
    """Binary features; grey values are binarised anew at each use (dynamic binarisation).

    Reference: Salakhutdinov and Murray (2008), "On the quantitative analysis of deep belief
    networks", section 5 (binarisation by sampling).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.channels, self.grid = channels_and_grid(shape)
        self.inputs = self.outputs = self.channels

    def prepare(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Binary `(batch, features)`, 1 with probability value / 255."""
        flat = values.flatten(1)
        noise = torch.rand(flat.shape, generator=generator, device=flat.device)
        return torch.lt(noise.mul_(255), flat).to(torch.float32)

    def encode(self, x: Tensor) -> Tensor:
        """X as it is, `(batch, features)`."""
        return x

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Log probability in nats, `(..., batch)`, from logits `(..., batch, features)`."""
        return (x * parameters - functional.softplus(parameters)).sum(-1)

    def marginal_parameters(self, values: Tensor) -> Tensor:
        """Logits of the mean of each feature, `(features,)`.

        Half an example of either value is added, so that a feature that never varies has a finite
        code length where it varies after all.

        Reference: Krichevsky and Trofimov (1981), "The performance of universal encoding".
        """
        ones = values.flatten(1).sum(0, dtype=torch.float64) / 255
        return torch.logit((ones + 0.5) / (len(values) + 1)).float()
