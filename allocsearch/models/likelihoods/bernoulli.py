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
        """Binary `(batch, features)`, 1 with probability value / 255.

        To within 2^-16, and exactly for 0 and 255.
        """
        flat = values.flatten(1)
        # Random bits are what binarisation costs: one word of 64 serves four features.
        words = torch.empty(-(-flat.numel() // 4), dtype=torch.int64, device=flat.device)
        words.random_(-(2**63), None, generator=generator)
        noise = words.view(torch.int16)[: flat.numel()].view_as(flat)
        # 65,536 / 255 is 257 all but exactly. The largest noise would be above every threshold.
        threshold = flat.to(torch.int16).mul_(257).sub_(2**15)
        x = torch.empty(flat.shape, device=flat.device)
        return torch.lt(noise.clamp_(max=2**15 - 2), threshold, out=x)

    def encode(self, x: Tensor) -> Tensor:
        """X as it is, `(batch, features)`."""
        return x

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Log probability in nats, `(..., batch)`, from logits `(..., batch, features)`."""
        return (x * parameters - functional.softplus(parameters)).sum(-1)

    def mean(self, parameters: Tensor) -> Tensor:
        """Probabilities of 1, as grey values, `(..., batch, features)`."""
        return 255 * torch.sigmoid(parameters)

    def marginal_parameters(self, values: Tensor) -> Tensor:
        """Logits of the mean of each feature, `(features,)`.

        Half an example of either value is added, so that a feature that never varies has a finite
        code length where it varies after all.

        Reference: Krichevsky and Trofimov (1981), "The performance of universal encoding".
        """
        ones = values.flatten(1).sum(0, dtype=torch.float64) / 255
        return torch.logit((ones + 0.5) / (len(values) + 1)).float()
