"""Randomness that all examples share, so that a score is a function of the example alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from allocsearch.models.hvae import HVAE
from allocsearch.models.likelihoods.bernoulli import Bernoulli

_LEVELS = 256


@dataclass(frozen=True)
class FixedNoise:
    """One draw of binarisation and latents that serves every example.

    An example then has one score, wherever in a data set it stands and whatever else is scored
    with it, and nothing is drawn while scores are computed. Scores of two examples have the same
    noise in common, which takes part of it out of their comparison.

    Attributes:
        cuts: The least byte that becomes 1 for each feature, uint8 `(features,)`; None where the
            likelihood draws nothing.
        latents: Standard normal, for each layer `(samples, 1, d_l)`.
    """

    cuts: Tensor | None
    latents: tuple[Tensor, ...]

    @classmethod
    def draw(cls, model: HVAE, samples: int, seed: int) -> FixedNoise:
        """The noise of a seed.

        Args:
            model: The model that it is for.
            samples: Draws of the latents.
            seed: Of everything that is drawn.
        """
        generator = torch.Generator()
        cuts = _cuts(model, generator, seed) if isinstance(model.likelihood, Bernoulli) else None
        return cls(cuts, model.draw_noise(1, generator.manual_seed(seed), samples))

    def inputs(self, model: HVAE, values: Tensor) -> Tensor:
        """Model inputs, `(batch, features)`, of stored examples, `(batch, *shape)`."""
        if self.cuts is None:
            return model.likelihood.prepare(values, torch.Generator())
        flat = values.flatten(1)
        return torch.ge(flat, self.cuts, out=torch.empty(flat.shape))

    def of_batch(self, batch: int) -> tuple[Tensor, ...]:
        """Noise for `HVAE.infer`, each `(samples, batch, d_l)`."""
        return tuple(e.expand(-1, batch, -1) for e in self.latents)


def _cuts(model: HVAE, generator: torch.Generator, seed: int) -> Tensor:
    """With the same randomness, a feature is 0 below some level and 1 from there on."""
    drawn = [
        model.likelihood.prepare(
            torch.full((1, *model.shape), level, dtype=torch.uint8), generator.manual_seed(seed)
        )
        for level in range(_LEVELS)
    ]
    # Level 0 is never 1 and the highest always is, so that a byte holds the count.
    return (_LEVELS - torch.cat(drawn).sum(0)).to(torch.uint8)
