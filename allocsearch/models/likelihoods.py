"""Likelihoods p(x | z): how stored values become model inputs, and the log probability."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional


class Likelihood(Protocol):
    """What the model, the trainer and the measurements need of a likelihood."""

    def parameters_per_feature(self) -> int:
        """How many numbers the decoder gives for each feature of x."""

    def prepare(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Model inputs of stored values.

        Args:
            values: Stored examples, `(batch, *shape)`, uint8.
            generator: Source of the randomness, where there is any.

        Returns:
            x, `(batch, features)`, float32.
        """

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Log p(x | z).

        Args:
            parameters: What the decoder gives, `(..., batch, features * parameters_per_feature)`.
            x: Model inputs, `(batch, features)`.

        Returns:
            Nats, `(..., batch)`.
        """

    def marginal_parameters(self, values: Tensor) -> Tensor:
        """The parameters of the marginal model: independent features, no latent.

        Args:
            values: Stored examples that the model is fitted to, `(n, *shape)`, uint8.

        Returns:
            `(features * parameters_per_feature)`, as `log_prob` takes them.
        """


class Bernoulli:
    """Binary features; grey values are binarised anew at each use (dynamic binarisation).

    Reference: Salakhutdinov and Murray (2008), "On the quantitative analysis of deep belief
    networks", section 5 (binarisation by sampling).
    """

    def parameters_per_feature(self) -> int:
        """One, the logit."""
        return 1

    def prepare(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Binary `(batch, features)`, 1 with probability value / 255."""
        flat = values.flatten(1)
        noise = torch.rand(flat.shape, generator=generator, device=flat.device)
        return torch.lt(noise.mul_(255), flat).to(torch.float32)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Log probability in nats, `(..., batch)`, from logits `(..., batch, features)`."""
        return (x * parameters - functional.softplus(parameters)).sum(-1)

    def marginal_parameters(self, values: Tensor) -> Tensor:
        """Logits of the mean of each feature, `(features)`.

        Half an example of either value is added, so that a feature that never varies has a finite
        code length where it varies after all.

        Reference: Krichevsky and Trofimov (1981), "The performance of universal encoding".
        """
        ones = values.flatten(1).sum(0, dtype=torch.float64) / 255
        return torch.logit((ones + 0.5) / (len(values) + 1)).float()


LIKELIHOODS: dict[str, type[Likelihood]] = {"bernoulli": Bernoulli}
