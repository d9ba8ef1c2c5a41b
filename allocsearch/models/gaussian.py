"""Diagonal Gaussians: the conditionals of the latent layers, and what they are compared by."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

# Log variances stay within this distance of 0, far beyond those of a trained model on ID data.
_LOG_VAR_LIMIT = 20.0


def full_precision(products: Tensor) -> Tensor:
    """What a product in bfloat16 gives as float32: densities are not computed in less."""
    return products.float() if products.dtype == torch.bfloat16 else products


@dataclass(frozen=True)
class Gaussian:
    """A diagonal Gaussian.

    Attributes:
        mean: `(..., batch, d_l)`.
        log_var: Log variances, `(..., batch, d_l)`.
    """

    mean: Tensor
    log_var: Tensor

    @classmethod
    def from_parameters(cls, parameters: Tensor) -> Gaussian:
        """The Gaussian that a head gives: means, then log variances, `(..., batch, 2 d_l)`."""
        mean, log_var = full_precision(parameters).chunk(2, dim=-1)
        # Inputs unlike any of the training can ask for variances that overflow.
        return cls(mean, log_var.clamp(-_LOG_VAR_LIMIT, _LOG_VAR_LIMIT))

    def masked(self, mask: Tensor | None) -> Gaussian:
        """Standard normal where `mask`, `(d_l,)`, is 0; the same Gaussian where it is 1."""
        return self if mask is None else Gaussian(self.mean * mask, self.log_var * mask)

    def product(self, other: Gaussian) -> Gaussian:
        """The normalised product of two densities: precisions add, means are weighted by them.

        Reference: Sonderby et al. (2016), "Ladder variational autoencoders", equations 10 and 11.
        """
        difference = other.log_var - self.log_var
        mean = other.mean + torch.sigmoid(difference) * (self.mean - other.mean)
        return Gaussian(mean, other.log_var - functional.softplus(difference))

    def draw(self, noise: Tensor) -> Latent:
        """A draw, from standard normal noise `(..., batch, d_l)`."""
        z = torch.addcmul(self.mean, torch.exp(0.5 * self.log_var), noise)
        return Latent(self, noise, z)


@dataclass(frozen=True)
class Latent:
    """One layer of an inference pass.

    Attributes:
        posterior: q(z_l | x and the layers drawn before).
        noise: The standard normal noise of the draw, `(..., batch, d_l)`.
        z: The draw, mean + noise * standard deviation, `(..., batch, d_l)`.
    """

    posterior: Gaussian
    noise: Tensor
    z: Tensor

    def kl(self, prior: Gaussian | None) -> Tensor:
        """Log q - log p of each dim of the draw, nats, `(..., batch, d_l)`.

        Its mean over draws is the KL divergence.

        Args:
            prior: p(z_l | z_{>l}), or None for the standard normal.
        """
        # Log q(z) needs no (z - mean) / sd: that is the noise.
        entropy_terms = torch.addcmul(self.posterior.log_var, self.noise, self.noise)
        if prior is None:
            return 0.5 * torch.addcmul(-entropy_terms, self.z, self.z)
        squared = (self.z - prior.mean).square()
        scaled = torch.addcmul(prior.log_var, squared, torch.exp(-prior.log_var))
        return 0.5 * (scaled - entropy_terms)

    def analytic_kl(self, prior: Gaussian | None) -> Tensor:
        """KL divergence of each dim from the prior in closed form, nats, `(..., batch, d_l)`.

        Args:
            prior: p(z_l | z_{>l}), or None for the standard normal.

        Reference: Kingma and Welling (2014), appendix B.
        """
        mean, log_var = self.posterior.mean, self.posterior.log_var
        if prior is None:
            return 0.5 * (mean.square() + torch.exp(log_var) - log_var - 1)
        squared = torch.exp(log_var) + (mean - prior.mean).square()
        return 0.5 * (squared * torch.exp(-prior.log_var) + prior.log_var - log_var - 1)
