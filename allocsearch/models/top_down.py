"""Top-down inference: the ladder VAE."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from allocsearch.models.blocks import Blocks
from allocsearch.models.gaussian import Gaussian, Latent
from allocsearch.models.hvae import HVAE, BoundTerms, Descent


class TopDownHVAE(HVAE):
    """q(z | x) = q(z_L | x) q(z_{L-1} | z_L, x) ... q(z_1 | z_{>1}, x).

    A deterministic pass upwards gives an estimate of every layer from x alone. On the way down it
    is merged with the prior by precision: q(z_l | z_{>l}, x) is proportional to the product of
    the two densities. So the posterior shares the decoder with the generative side.

    Reference: Sonderby et al. (2016), "Ladder variational autoencoders", section 2.1.
    """

    # Every layer sees x: no data-processing inequality holds between them.
    markov = False

    def _build_inference(self, blocks: Blocks) -> None:
        layers = range(self.allocation.layers)
        self.order = tuple(reversed(layers))
        self.encoder = nn.ModuleList(blocks.encoder(layer, reads_latent=False) for layer in layers)
        self.posteriors = nn.ModuleList(
            blocks.posterior(layer, joins_latent=False) for layer in layers
        )

    def forward(self, x: Tensor, noise: Sequence[Tensor], *, analytic: bool = False) -> BoundTerms:
        """The terms of the ELBO, with one pass of the decoder; see `HVAE.forward`."""
        latents, descent = self._infer(x, noise)
        return self._terms(x, latents, self._decode(*descent), analytic=analytic)

    def infer(self, x: Tensor, noise: Sequence[Tensor]) -> tuple[Latent, ...]:
        """Draw z_L, then every layer given those above; see `HVAE.infer`."""
        return self._infer(x, noise)[0]

    def _infer(self, x: Tensor, noise: Sequence[Tensor]) -> tuple[tuple[Latent, ...], Descent]:
        estimates = self._estimates(x)
        latents = [self._draw(len(noise) - 1, estimates[-1], noise[-1])]

        def choose(layer: int, prior: Gaussian) -> Tensor:
            posterior = estimates[layer].product(prior).masked(self._mask(layer))
            latents.append(self._draw(layer, posterior, noise[layer]))
            return latents[-1].z

        descent = self._descend(latents[0].z, choose)
        return tuple(latents[::-1]), descent

    def posteriors_given(self, x: Tensor, latents: Sequence[Tensor]) -> tuple[Gaussian, ...]:
        """q(z_L | x), ..., q(z_l | z_{>l}, x) at given latents; see `HVAE.posteriors_given`."""
        estimates = self._estimates(x)
        posteriors = [estimates[-1]]

        def choose(layer: int, prior: Gaussian) -> Tensor:
            posteriors.append(estimates[layer].product(prior).masked(self._mask(layer)))
            return latents[len(posteriors) - 1]

        self._descend(latents[0], choose, lowest=len(estimates) - len(latents))
        return tuple(posteriors)

    def encoding(self, x: Tensor) -> Tensor:
        """The end of the deterministic pass upwards; see `HVAE.encoding`."""
        hidden = self.likelihood.encode(x)
        for stage in self.encoder:
            hidden = stage(hidden)
        return hidden.flatten(1)

    def _estimates(self, x: Tensor) -> list[Gaussian]:
        """What x alone says of every layer, bottom to top, each `(batch, d_l)`."""
        hidden = self.likelihood.encode(x)
        estimates = []
        for layer, (stage, head) in enumerate(zip(self.encoder, self.posteriors, strict=True)):
            hidden = stage(hidden)
            estimate = Gaussian.from_parameters(head(hidden))
            estimates.append(estimate.masked(self._mask(layer)))
        return estimates
