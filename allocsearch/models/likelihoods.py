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


LIKELIHOODS: dict[str, type[Likelihood]] = {"bernoulli": Bernoulli}
