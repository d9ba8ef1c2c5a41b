"""The hierarchical VAE with bottom-up inference.

    q(z | x) = q(z_1 | x) q(z_2 | z_1, x) ... q(z_L | z_{L-1}, x)
    p(x, z)  = p(z_L) p(z_{L-1} | z_L) ... p(z_1 | z_2) p(x | z_1)

All of it is a deterministic function of x and standard normal noise. Inference has deterministic
skip connections from x to every layer, or none: then it is a Markov chain like generation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.models.blocks import dense_stage
from allocsearch.models.likelihoods import LIKELIHOODS


@dataclass(frozen=True)
class Gaussian:
    """A diagonal Gaussian.

    Attributes:
        mean: `(..., batch, d_l)`.
        log_var: Log variances, `(..., batch, d_l)`.
    """

    mean: Tensor
    log_var: Tensor

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of each dim of z, nats, `(..., batch, d_l)`."""
        squared = (z - self.mean).square() * torch.exp(-self.log_var)
        return -0.5 * (squared + self.log_var + math.log(2 * math.pi))


@dataclass(frozen=True)
class Latent:
    """One layer of an inference pass.

    Attributes:
        posterior: q(z_l | z_{<l}, x).
        z: Its draw, `(..., batch, d_l)`.
    """

    posterior: Gaussian
    z: Tensor


@dataclass(frozen=True)
class Generation:
    """One generative pass.

    Attributes:
        priors: p(z_l | z_{>l}), bottom to top; the top one is the standard normal.
        latents: The z_l that were decoded, bottom to top.
        parameters: Parameters of p(x | z), `(..., batch, features * parameters_per_feature)`.
    """

    priors: tuple[Gaussian, ...]
    latents: tuple[Tensor, ...]
    parameters: Tensor


@dataclass(frozen=True)
class BoundTerms:
    """The terms of L^{>k} for one draw of the latents.

    Attributes:
        log_likelihood: log p(x | z), nats, `(..., batch)`.
        kl: For each layer above k, bottom to top, log q - log p of each dim of the drawn z_l (its
            mean over draws is the KL divergence), nats, `(..., batch, d_l)`.
    """

    log_likelihood: Tensor
    kl: tuple[Tensor, ...]

    def bound(self) -> Tensor:
        """L^{>k}, nats, `(..., batch)`; the ELBO for k = 0."""
        return self.log_likelihood - sum(kl.sum(-1) for kl in self.kl)


class HVAE(nn.Module):
    """A dense bottom-up HVAE.

    Args:
        allocation: Latent dims, bottom to top.
        features: Size of one flattened example.
        section: Everything else about the model.

    Reference: Havtorn et al. (2021), section 3 (bottom-up inference, deterministic skips).
    """

    def __init__(self, allocation: Allocation, features: int, section: ModelSection) -> None:
        super().__init__()
        self.allocation = allocation
        self.features = features
        self.skip = section.skip
        self.likelihood = LIKELIHOODS[section.likelihood]()
        dims, hidden = allocation.dims, section.hidden
        carried = hidden if section.skip else 0
        outputs = features * self.likelihood.parameters_per_feature()

        inputs = [features, *(d + carried for d in dims[:-1])]
        self.encoder = nn.ModuleList(dense_stage(i, section) for i in inputs)
        self.posteriors = nn.ModuleList(nn.Linear(hidden, 2 * d) for d in dims)
        self.decoder = nn.ModuleList(dense_stage(d, section) for d in dims)
        self.priors = nn.ModuleList(nn.Linear(hidden, 2 * d) for d in dims[:-1])
        self.output = nn.Linear(hidden, outputs)

    def draw_noise(
        self, batch: int, generator: torch.Generator, samples: int | None = None
    ) -> tuple[Tensor, ...]:
        """Standard normal noise for `infer`.

        Returns:
            For each layer `(batch, d_l)`, or `(samples, batch, d_l)` where `samples` is given.
        """
        lead = (batch,) if samples is None else (samples, batch)
        return tuple(
            torch.randn((*lead, d), generator=generator, device=generator.device)
            for d in self.allocation.dims
        )

    def infer(self, x: Tensor, noise: Sequence[Tensor]) -> tuple[Latent, ...]:
        """Draw the latents from q(z | x).

        Args:
            x: Model inputs, `(batch, features)`.
            noise: For each layer, standard normal, `(..., batch, d_l)`. The part of the encoder
                that sees x alone is computed once for all the leading dimensions.

        Returns:
            The layers, bottom to top. The posterior of layer 1 has the shape `(batch, d_1)`.
        """
        latents: list[Latent] = []
        below = x
        for stage, head, epsilon in zip(self.encoder, self.posteriors, noise, strict=True):
            hidden = stage(below)
            mean, log_var = head(hidden).chunk(2, dim=-1)
            z = torch.addcmul(mean, torch.exp(0.5 * log_var), epsilon)
            latents.append(Latent(Gaussian(mean, log_var), z))
            if self.skip:
                # What x alone determined is the same for all the leading dimensions of z.
                hidden = hidden.expand(*z.shape[:-1], hidden.shape[-1])
            below = torch.cat([z, hidden], dim=-1) if self.skip else z
        return tuple(latents)

    def generate(self, latents: Sequence[Tensor], skip: int = 0) -> Generation:
        """Decode latents, the `skip` lowest of them replaced by the mode of their prior.

        Args:
            latents: z_1, ..., z_L, `(..., batch, d_l)`. Those of the `skip` lowest are not read.
            skip: k, from 0 to L - 1.
        """
        top = latents[-1]
        used = [top]
        priors = [Gaussian(torch.zeros_like(top), torch.zeros_like(top))]
        hidden = self.decoder[-1](top)
        for layer in reversed(range(len(latents) - 1)):
            mean, log_var = self.priors[layer](hidden).chunk(2, dim=-1)
            z = mean if layer < skip else latents[layer]
            hidden = self.decoder[layer](z)
            used.append(z)
            priors.append(Gaussian(mean, log_var))
        return Generation(tuple(priors[::-1]), tuple(used[::-1]), self.output(hidden))

    def bound_terms(self, x: Tensor, latents: Sequence[Latent], skip: int = 0) -> BoundTerms:
        """The terms of L^{>k}, k = `skip`, for latents drawn by `infer`.

        The KL terms are those of the drawn latents: under bottom-up inference the closed form
        of a layer's KL divergence, taken at a draw of the layer above, would be biased, since
        that draw depends on the layer itself.

        Args:
            x: Model inputs, `(batch, features)`.
            latents: What `infer` gave.
            skip: k, from 0 to L - 1; 0 gives the terms of the ELBO.

        Reference: Havtorn et al. (2021), equation 6.
        """
        generated = self.generate([latent.z for latent in latents], skip)
        kl = tuple(
            latent.posterior.log_prob(latent.z) - prior.log_prob(latent.z)
            for latent, prior in zip(latents[skip:], generated.priors[skip:], strict=True)
        )
        return BoundTerms(self.likelihood.log_prob(generated.parameters, x), kl)
