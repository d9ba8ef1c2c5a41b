"""The hierarchical VAE with bottom-up inference.

    q(z | x) = q(z_1 | x) q(z_2 | z_1, x) ... q(z_L | z_{L-1}, x)
    p(x, z)  = p(z_L) p(z_{L-1} | z_L) ... p(z_1 | z_{>1}) p(x | z)

All of it is a deterministic function of x and standard normal noise. With deterministic skip
connections the hidden units of the encoder form a path from x to every layer, and those of the
decoder one from the top to x: the latents join them. Without, every conditional depends on the
neighbouring layer alone, and x, z_1, ..., z_L is a Markov chain both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.models.blocks import dense_stage
from allocsearch.models.likelihoods import LIKELIHOODS

# Log variances stay within this distance of 0, far beyond those of a trained model on ID data.
_LOG_VAR_LIMIT = 20.0


@dataclass(frozen=True)
class Gaussian:
    """A diagonal Gaussian.

    Attributes:
        mean: `(..., batch, d_l)`.
        log_var: Log variances, `(..., batch, d_l)`.
    """

    mean: Tensor
    log_var: Tensor


@dataclass(frozen=True)
class Latent:
    """One layer of an inference pass.

    Attributes:
        posterior: q(z_l | z_{<l}, x).
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


@dataclass(frozen=True)
class Generation:
    """One generative pass.

    Attributes:
        priors: p(z_l | z_{>l}), bottom to top; None for the top layer, a standard normal.
        latents: The z_l that were decoded, bottom to top.
        parameters: Parameters of p(x | z), `(..., batch, features * parameters_per_feature)`.
    """

    priors: tuple[Gaussian | None, ...]
    latents: tuple[Tensor, ...]
    parameters: Tensor


@dataclass(frozen=True)
class BoundTerms:
    """The terms of L^{>k} for one draw of the latents.

    Attributes:
        log_likelihood: log p(x | z), nats, `(..., batch)`.
        kl: For each layer above k, bottom to top, log q - log p of each dim of the drawn z_l (its
            mean over draws is the KL divergence), nats, `(..., batch, d_l)`.
        priors: p(z_l | z_{>l}) of every layer, as in `Generation`.
    """

    log_likelihood: Tensor
    kl: tuple[Tensor, ...]
    priors: tuple[Gaussian | None, ...]

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
        outputs = features * self.likelihood.parameters_per_feature()

        skip = section.skip
        inputs = [features, *(hidden if skip else d for d in dims[:-1])]
        self.encoder = nn.ModuleList(dense_stage(i, section) for i in inputs)
        inputs = [hidden, *(hidden + d if skip else hidden for d in dims[:-1])]
        heads = zip(inputs, dims, strict=True)
        self.posteriors = nn.ModuleList(nn.Linear(i, 2 * d) for i, d in heads)
        inputs = [*(d + hidden if skip else d for d in dims[:-1]), dims[-1]]
        self.decoder = nn.ModuleList(dense_stage(i, section) for i in inputs)
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
        hidden, z = x, None
        for layer, epsilon in enumerate(noise):
            posterior, hidden = self._infer_layer(layer, hidden, z)
            z = torch.addcmul(posterior.mean, torch.exp(0.5 * posterior.log_var), epsilon)
            latents.append(Latent(posterior, epsilon, z))
        return tuple(latents)

    def _infer_layer(
        self, layer: int, hidden: Tensor, z: Tensor | None
    ) -> tuple[Gaussian, Tensor]:
        """Posterior and hidden units of the layer at index `layer`, from those below it.

        Args:
            layer: l - 1.
            hidden: Hidden units of layer l - 1; x for layer 1.
            z: z_{l-1}, or None for layer 1.
        """
        if z is None:
            hidden = features = self.encoder[layer](hidden)
        elif self.skip:
            hidden = self.encoder[layer](hidden)
            # What x alone determined is the same for all the leading dimensions of z.
            features = torch.cat([hidden.expand(*z.shape[:-1], hidden.shape[-1]), z], dim=-1)
        else:
            hidden = features = self.encoder[layer](z)
        return _gaussian(self.posteriors[layer](features)), hidden

    def posteriors_given(self, x: Tensor, latents: Sequence[Tensor]) -> tuple[Gaussian, ...]:
        """The posteriors q(z_1 | x), ..., q(z_l | z_{<l}, x) at latents drawn elsewhere.

        Args:
            x: Model inputs, `(batch, features)`.
            latents: z_1, ..., z_l for any l, `(..., batch, d_k)`. The last one is not read.
        """
        posteriors: list[Gaussian] = []
        hidden = x
        for layer, z in enumerate((None, *latents[:-1])):
            posterior, hidden = self._infer_layer(layer, hidden, z)
            posteriors.append(posterior)
        return tuple(posteriors)

    def generate(self, latents: Sequence[Tensor], skip: int = 0) -> Generation:
        """Decode latents, the `skip` lowest of them replaced by the mode of their prior.

        Args:
            latents: z_1, ..., z_L, `(..., batch, d_l)`. Those of the `skip` lowest are not read.
            skip: k, from 0 to L - 1.
        """
        top = latents[-1]
        used = [top]
        priors: list[Gaussian | None] = [None]
        hidden = self.decoder[-1](top)
        for layer in reversed(range(len(latents) - 1)):
            prior = _gaussian(self.priors[layer](hidden))
            z = prior.mean if layer < skip else latents[layer]
            hidden = self.decoder[layer](torch.cat([z, hidden], dim=-1) if self.skip else z)
            used.append(z)
            priors.append(prior)
        return Generation(tuple(priors[::-1]), tuple(used[::-1]), self.output(hidden))

    def bound_terms(
        self, x: Tensor, latents: Sequence[Latent], skip: int = 0, *, analytic: bool = False
    ) -> BoundTerms:
        """The terms of L^{>k}, k = `skip`, for latents drawn by `infer`.

        Args:
            x: Model inputs, `(batch, features)`.
            latents: What `infer` gave.
            skip: k, from 0 to L - 1; 0 gives the terms of the ELBO.
            analytic: Take the KL terms in closed form at the drawn layer above. They vary less
                from draw to draw, but below the top layer they are biased upwards: the draw of
                the layer above depends on this layer's own. For training, not for measuring.

        Reference: Havtorn et al. (2021), equation 6.
        """
        generated = self.generate([latent.z for latent in latents], skip)
        kl = tuple(
            latent.analytic_kl(prior) if analytic else latent.kl(prior)
            for latent, prior in zip(latents[skip:], generated.priors[skip:], strict=True)
        )
        log_likelihood = self.likelihood.log_prob(generated.parameters, x)
        return BoundTerms(log_likelihood, kl, generated.priors)


def _gaussian(parameters: Tensor) -> Gaussian:
    """The Gaussian that a head gives: means and log variances side by side, `(..., 2 d_l)`."""
    mean, log_var = parameters.chunk(2, dim=-1)
    # Inputs unlike any of the training can ask for variances that overflow.
    return Gaussian(mean, log_var.clamp(-_LOG_VAR_LIMIT, _LOG_VAR_LIMIT))


def build_model(allocation: Allocation, features: int, section: ModelSection, seed: int) -> HVAE:
    """A model with its initial weights, which depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return HVAE(allocation, features, section)
