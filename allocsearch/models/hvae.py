"""The hierarchical VAE: its generative side, its bounds, and what inference kinds have in common.

    p(x, z) = p(z_L) p(z_{L-1} | z_L) ... p(z_1 | z_{>1}) p(x | z)

All of it is a deterministic function of x and standard normal noise. With deterministic skip
connections the hidden units of the decoder form a path from the top to x, which the latents join.
Without, every conditional depends on the layer above alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.models.blocks import Blocks, build_blocks
from allocsearch.models.gaussian import Gaussian, Latent, full_precision
from allocsearch.models.likelihoods import build_likelihood


@dataclass(frozen=True)
class Generation:
    """One generative pass.

    Attributes:
        priors: p(z_l | z_{>l}), bottom to top; None for the top layer, a standard normal.
        latents: The z_l that were decoded, bottom to top.
        parameters: Parameters of p(x | z), `(..., batch, outputs * positions)`.
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


# Priors and latents, bottom to top, and the hidden units of the lowest stage that was reached.
Descent = tuple[tuple[Gaussian | None, ...], tuple[Tensor, ...], Tensor]


class HVAE(nn.Module, ABC):
    """An HVAE; its subclasses are the inference kinds.

    Args:
        allocation: Latent dims, bottom to top.
        shape: Of one example: `(d,)`, `(H, W)` or `(C, H, W)`.
        section: Everything else about the model.
        widths: Dims that the tensors of the latents have room for, bottom to top, each d_l or
            more; the others are masked, and the model computes what a narrow one does. None: d_l.

    Attributes:
        widths: As given, or the dims of the allocation.
        order: Indices l - 1 of the layers in the order in which inference draws them.
        markov: Whether x, z_1, ..., z_L is a Markov chain under q, and I_l cannot rise with l.

    Raises:
        InputError: If likelihood or blocks cannot be built for such examples or latents.
        ValueError: If `widths` is not one width for each layer, or below the allocation.
    """

    order: tuple[int, ...]
    markov: bool

    def __init__(
        self,
        allocation: Allocation,
        shape: tuple[int, ...],
        section: ModelSection,
        widths: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.allocation, self.shape, self.section = allocation, shape, section
        self.skip = section.skip
        self.widths = allocation.dims if widths is None else tuple(widths)
        if len(self.widths) != allocation.layers or any(
            width < d for width, d in zip(self.widths, allocation.dims, strict=True)
        ):
            raise ValueError(f"widths {self.widths} have no room for {allocation}")
        for layer, (width, d) in enumerate(zip(self.widths, allocation.dims, strict=True)):
            mask = None if widths is None else (torch.arange(width) < d).float()
            self.register_buffer(f"mask_{layer}", mask, persistent=False)
        self.likelihood = build_likelihood(shape, section)
        blocks = build_blocks(self.widths, self.likelihood, section)
        self._build_inference(blocks)
        layers = range(allocation.layers)
        self.decoder = nn.ModuleList(
            blocks.decoder(layer, joins_hidden=section.skip and layer < layers[-1])
            for layer in layers
        )
        self.priors = nn.ModuleList(blocks.prior(layer) for layer in layers[:-1])
        self.output = blocks.output()

    @abstractmethod
    def _build_inference(self, blocks: Blocks) -> None:
        """Make the modules of q."""

    @abstractmethod
    def infer(self, x: Tensor, noise: Sequence[Tensor]) -> tuple[Latent, ...]:
        """Draw the latents from q(z | x).

        Args:
            x: From the likelihood's `prepare`, `(batch, features)`.
            noise: For each layer, standard normal, `(..., batch, d_l)`. What sees x alone is
                computed once for all the leading dimensions.

        Returns:
            The layers, bottom to top. The posterior of the layer that is drawn first has the
            shape `(batch, d_l)`.
        """

    @abstractmethod
    def posteriors_given(self, x: Tensor, latents: Sequence[Tensor]) -> tuple[Gaussian, ...]:
        """The posteriors of the layers that are drawn first, at latents drawn elsewhere.

        Args:
            x: From the likelihood's `prepare`, `(batch, features)`.
            latents: Of the first layers in `order`, any number of them, `(..., batch, d_l)`. The
                last one is not read.

        Returns:
            One for each of `latents`.
        """

    @abstractmethod
    def encoding(self, x: Tensor) -> Tensor:
        """The hidden units of the highest stage of the encoder, a deterministic function of x.

        Where a stage reads the latent below, it reads the mean of that latent's posterior.

        Args:
            x: From the likelihood's `prepare`, `(batch, features)`.

        Returns:
            `(batch, units)`: vectors as they are, maps flat.
        """

    def encoder_path(self) -> tuple[str, ...]:
        """The names of the parameters that `encoding` depends on, in the model's order."""
        named = dict(self.named_parameters())
        device = next(iter(named.values())).device
        with torch.enable_grad():
            encoded = self.encoding(torch.zeros(1, self.likelihood.features, device=device)).sum()
            gradients = torch.autograd.grad(encoded, [*named.values()], allow_unused=True)
        return tuple(
            name for name, found in zip(named, gradients, strict=True) if found is not None
        )

    def forward(self, x: Tensor, noise: Sequence[Tensor], *, analytic: bool = False) -> BoundTerms:
        """The terms of the ELBO for one draw of the latents: `infer`, then `bound_terms`.

        Args:
            x: From the likelihood's `prepare`, `(batch, features)`.
            noise: As for `infer`.
            analytic: As for `bound_terms`.
        """
        latents = self.infer(x, noise)
        return self._terms(x, latents, self.generate([z.z for z in latents]), analytic=analytic)

    def draw_noise(
        self, batch: int, generator: torch.Generator, samples: int | None = None
    ) -> tuple[Tensor, ...]:
        """Standard normal noise for `infer`.

        Args:
            batch: Number of examples.
            generator: Source of the noise, which lies on its device.
            samples: S, draws of the latents per example.

        Returns:
            For each layer, bottom to top, `(batch, d_l)`, or `(samples, batch, d_l)` where
            `samples` is given; of a model with masks, for the dims that are not in use too.
        """
        lead = (batch,) if samples is None else (samples, batch)
        return tuple(
            torch.randn((*lead, width), generator=generator, device=generator.device)
            for width in self.widths
        )

    def generate(self, latents: Sequence[Tensor], skip: int = 0) -> Generation:
        """Decode latents, the `skip` lowest of them replaced by the mode of their prior.

        Args:
            latents: z_1, ..., z_L, `(..., batch, d_l)`. Those of the `skip` lowest are not read.
            skip: k, from 0 to L - 1.
        """

        def choose(layer: int, prior: Gaussian) -> Tensor:
            return prior.mean if layer < skip else latents[layer]

        return self._decode(*self._descend(latents[-1], choose))

    def generate_below(
        self, latents: Sequence[Tensor], k: int, noise: Sequence[Tensor]
    ) -> Generation:
        """Decode latents, the k lowest of them replaced by draws from their prior.

        Args:
            latents: z_1, ..., z_L, `(..., batch, d_l)`. Those of the k lowest are not read.
            k: From 0 to L; L gives a draw from the model.
            noise: Standard normal, bottom to top, `(..., batch, d_l)`; that of the k lowest is
                read.
        """

        def choose(layer: int, prior: Gaussian) -> Tensor:
            return self._draw(layer, prior, noise[layer]).z if layer < k else latents[layer]

        top = len(self.decoder) - 1
        zeros = torch.zeros_like(noise[top])
        return self._decode(*self._descend(choose(top, Gaussian(zeros, zeros)), choose))

    def priors_given(self, latents: Sequence[Tensor]) -> tuple[Gaussian | None, ...]:
        """The priors p(z_l | z_{>l}) at given latents, without the likelihood of x.

        Args:
            latents: z_1, ..., z_L, `(..., batch, d_l)`.

        Returns:
            Bottom to top; None for the top layer, a standard normal.
        """
        return self._descend(latents[-1], lambda layer, _: latents[layer])[0]

    def _descend(
        self, top: Tensor, choose: Callable[[int, Gaussian], Tensor], lowest: int = 0
    ) -> Descent:
        """A generative pass that asks for z of each layer below the top when its prior is known.

        Args:
            top: z_L, `(..., batch, d_L)`.
            choose: From the index l - 1 and p(z_l | z_{>l}) to z_l, `(..., batch, d_l)`.
            lowest: Index of the lowest layer to ask for.

        Returns:
            Priors and latents, bottom to top, and the hidden units of the lowest stage.
        """
        used = [top]
        priors: list[Gaussian | None] = [None]
        hidden = self.decoder[-1](top)
        for layer in reversed(range(lowest, len(self.decoder) - 1)):
            prior = Gaussian.from_parameters(self.priors[layer](hidden)).masked(self._mask(layer))
            z = choose(layer, prior)
            hidden = self.decoder[layer](z, hidden) if self.skip else self.decoder[layer](z)
            used.append(z)
            priors.append(prior)
        return tuple(priors[::-1]), tuple(used[::-1]), hidden

    def _decode(
        self, priors: tuple[Gaussian | None, ...], latents: tuple[Tensor, ...], hidden: Tensor
    ) -> Generation:
        return Generation(priors, latents, full_precision(self.output(hidden)))

    def bound_terms(
        self, x: Tensor, latents: Sequence[Latent], skip: int = 0, *, analytic: bool = False
    ) -> BoundTerms:
        """The terms of L^{>k}, k = `skip`, for latents drawn by `infer`.

        Args:
            x: From the likelihood's `prepare`, `(batch, features)`.
            latents: What `infer` gave.
            skip: k, from 0 to L - 1; 0 gives the terms of the ELBO.
            analytic: Take the KL terms in closed form at the drawn layers that the posterior
                depends on. With bottom-up inference they are biased upwards below the top layer:
                the draw of the layer above depends on this layer's own. For training, not for
                measuring.

        Reference: Havtorn et al. (2021), equation 6.
        """
        generated = self.generate([latent.z for latent in latents], skip)
        return self._terms(x, latents, generated, skip, analytic=analytic)

    def _terms(
        self,
        x: Tensor,
        latents: Sequence[Latent],
        generated: Generation,
        skip: int = 0,
        *,
        analytic: bool,
    ) -> BoundTerms:
        kl = tuple(
            latent.analytic_kl(prior) if analytic else latent.kl(prior)
            for latent, prior in zip(latents[skip:], generated.priors[skip:], strict=True)
        )
        log_likelihood = self.likelihood.log_prob(generated.parameters, x)
        return BoundTerms(log_likelihood, kl, generated.priors)

    def _mask(self, layer: int) -> Tensor | None:
        """1 for the dims of the layer at index `layer` that are in use; None where all are."""
        mask: Tensor | None = getattr(self, f"mask_{layer}")
        return mask

    def _draw(self, layer: int, posterior: Gaussian, noise: Tensor) -> Latent:
        """A draw of the layer at index `layer`; dims that are not in use are exactly 0."""
        mask = self._mask(layer)
        return posterior.draw(noise if mask is None else noise * mask)
