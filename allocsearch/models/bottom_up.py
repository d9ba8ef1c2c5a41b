"""Bottom-up inference."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from allocsearch.models.blocks import Blocks
from allocsearch.models.gaussian import Gaussian, Latent
from allocsearch.models.hvae import HVAE


class BottomUpHVAE(HVAE):
    """q(z | x) = q(z_1 | x) q(z_2 | z_1, x) ... q(z_L | z_{L-1}, x).

    With deterministic skip connections the hidden units of the encoder form a path from x to
    every layer, which the latents join. Without, every conditional depends on the layer below
    alone, and x, z_1, ..., z_L is a Markov chain.

    Reference: Havtorn et al. (2021), section 3.
    """

    def _build_inference(self, blocks: Blocks) -> None:
        layers = range(self.allocation.layers)
        self.order = tuple(layers)
        self.markov = not self.skip
        self.encoder = nn.ModuleList(
            blocks.encoder(layer, reads_latent=layer > 0 and not self.skip) for layer in layers
        )
        self.posteriors = nn.ModuleList(
            blocks.posterior(layer, joins_latent=layer > 0 and self.skip) for layer in layers
        )

    def infer(self, x: Tensor, noise: Sequence[Tensor]) -> tuple[Latent, ...]:
        """Draw z_1, then every layer given the one below; see `HVAE.infer`."""
        latents: list[Latent] = []
        hidden, z = self.likelihood.encode(x), None
        for layer, epsilon in enumerate(noise):
            posterior, hidden = self._posterior(layer, hidden, z)
            latents.append(self._draw(layer, posterior, epsilon))
            z = latents[-1].z
        return tuple(latents)

    def posteriors_given(self, x: Tensor, latents: Sequence[Tensor]) -> tuple[Gaussian, ...]:
        """q(z_1 | x), ..., q(z_l | z_{<l}, x) at given latents; see `HVAE.posteriors_given`."""
        posteriors: list[Gaussian] = []
        hidden = self.likelihood.encode(x)
        for layer, z in enumerate((None, *latents[:-1])):
            posterior, hidden = self._posterior(layer, hidden, z)
            posteriors.append(posterior)
        return tuple(posteriors)

    def encoding(self, x: Tensor) -> Tensor:
        """The path from x to the top; without skip connections it leads through the means."""
        hidden = self.likelihood.encode(x)
        for layer, stage in enumerate(self.encoder):
            if layer > 0 and not self.skip:
                below = Gaussian.from_parameters(self.posteriors[layer - 1](hidden))
                hidden = below.masked(self._mask(layer - 1)).mean
            hidden = stage(hidden)
        return hidden.flatten(1)

    def _posterior(self, layer: int, hidden: Tensor, z: Tensor | None) -> tuple[Gaussian, Tensor]:
        """Posterior and hidden units of the layer at index `layer`, from those below it.

        Args:
            layer: l - 1.
            hidden: Hidden units of layer l - 1; the encoded x for layer 1.
            z: z_{l-1}, or None for layer 1.
        """
        if z is None or self.skip:
            # What x alone determines is the same for all the leading dimensions of z.
            hidden = self.encoder[layer](hidden)
            inputs = (hidden,) if z is None else (hidden, z)
        else:
            hidden = self.encoder[layer](z)
            inputs = (hidden,)
        posterior = Gaussian.from_parameters(self.posteriors[layer](*inputs))
        return posterior.masked(self._mask(layer)), hidden
