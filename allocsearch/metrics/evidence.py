"""The passes over a data set that every OOD score is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from allocsearch.metrics.complexity import known_complexity
from allocsearch.models.hvae import HVAE


@dataclass(frozen=True)
class Evidence:
    """What the passes over a data set gave, over S draws of the latents of each example.

    Attributes:
        log_likelihood: log p(x | z) with the k lowest latents at the mode of their prior,
            k = 0, ..., L - 1, mean over the draws, nats, `(n, L)`.
        importance: Importance-weighted L^{>k}, log of the mean over the draws of p / q, nats,
            `(n, L)`.
        kl: Drawn KL term of each layer, log q - log p, bottom to top, nats, `(n, L)`.
        divergence: KL divergence of each layer in closed form at the drawn layers that its
            posterior depends on, bottom to top, nats, `(n, L)`. Its noise is far smaller than
            that of the drawn terms; their sum over layers, unlike that of the drawn terms, is
            not the rate of the ELBO.
        complexity: Code lengths of the stored example under general compressors, nats, `(n, 2)`;
            `(n, 0)` where they were not asked for.

    Reference: Burda et al. (2016), equation 8, of `importance`.
    """

    log_likelihood: Tensor
    importance: Tensor
    kl: Tensor
    divergence: Tensor
    complexity: Tensor

    @property
    def layers(self) -> int:
        """L."""
        return self.kl.shape[1]

    @classmethod
    def joined(cls, parts: Sequence[Evidence]) -> Evidence:
        """The evidence of the examples of all parts, in their order."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})

    def bound(self, k: int) -> Tensor:
        """L^{>k}, nats, `(n,)`; the ELBO for k = 0."""
        return self.log_likelihood[:, k] - self.kl[:, k:].sum(1)


def evidence_of_batch(
    model: HVAE,
    values: Tensor,
    samples: int,
    generator: torch.Generator,
    lengths: Tensor | None = None,
) -> Evidence:
    """The evidence of one batch, in as many passes as there are layers.

    Args:
        model: A trained model, in eval mode.
        values: Stored examples, `(batch, *shape)`.
        samples: S, draws of the latents for each example.
        generator: Of binarisation and latents.
        lengths: The complexity, `(batch, 2)`; None where it is not wanted.
    """
    with torch.inference_mode():
        x = model.likelihood.prepare(values, generator)
        noise = model.draw_noise(len(x), generator, samples)
        return evidence_of_inputs(
            model, x, noise, torch.empty(len(x), 0) if lengths is None else lengths
        )


def evidence_of_inputs(
    model: HVAE,
    x: Tensor,
    noise: Sequence[Tensor],
    lengths: Tensor,
    passes: Collection[int] | None = None,
) -> Evidence:
    """The evidence of one batch of model inputs, from given noise.

    Args:
        model: A trained model, in eval mode.
        x: From the likelihood's `prepare`, `(batch, features)`.
        noise: For each layer, `(samples, batch, d_l)`.
        lengths: The complexity, `(batch, 2)` or `(batch, 0)`.
        passes: The k of the bounds that are wanted; None takes all. What the others alone would
            give is NaN. The divergences of the layers above the least k come with every pass;
            without any bound those of all layers come alone.
    """
    samples, layers = len(noise[0]), model.allocation.layers
    latents = model.infer(x, noise)
    wanted = range(layers) if passes is None else sorted(passes)
    terms = {k: model.bound_terms(x, latents, k) for k in wanted}
    lowest = wanted[0] if wanted else 0
    kl: Sequence[Tensor | None] = [None] * layers
    if wanted:
        kl, priors = (*kl[:lowest], *terms[lowest].kl), terms[lowest].priors
    else:
        priors = model.priors_given([latent.z for latent in latents])
    closed = [
        None if layer < lowest else z.analytic_kl(prior)
        for layer, (z, prior) in enumerate(zip(latents, priors, strict=True))
    ]
    unknown = x.new_full((samples, len(x)), math.nan)
    weights = [terms[k].bound() if k in terms else unknown for k in range(layers)]
    log_likelihoods = [terms[k].log_likelihood if k in terms else unknown for k in range(layers)]
    return Evidence(
        log_likelihood=torch.stack([each.mean(0) for each in log_likelihoods], 1),
        importance=torch.logsumexp(torch.stack(weights, -1), 0) - math.log(samples),
        kl=_summed(kl, unknown),
        # The layer that is drawn first has the same closed form for all draws.
        divergence=_summed(closed, unknown),
        complexity=lengths,
    )


def _summed(terms: Sequence[Tensor | None], unknown: Tensor) -> Tensor:
    """Sums over dims, means over draws, `(batch, L)`."""
    sums = [unknown if each is None else each.sum(-1).expand_as(unknown) for each in terms]
    return torch.stack([each.mean(0) for each in sums], 1)


def collect_evidence(
    model: HVAE,
    values: Tensor,
    samples: int,
    batch_size: int,
    seed: int,
    on_batch: Callable[[], None] = lambda: None,
    *,
    compressed: bool = True,
) -> Evidence:
    """The evidence of a whole data set.

    Args:
        model: A trained model, in eval mode.
        values: Stored examples, `(n, *shape)`.
        samples: S, draws of the latents for each example.
        batch_size: Examples in one pass.
        seed: Seed of binarisation and latents.
        on_batch: Called before every pass; what it raises ends the work.
        compressed: Whether to measure the complexity, where the values are grey levels or colours.
    """
    generator = torch.Generator().manual_seed(seed)
    batches = torch.split(values, batch_size)
    lengths: Sequence[Tensor | None] = [None] * len(batches)
    if compressed and model.section.compressible:
        lengths = torch.split(known_complexity(values), batch_size)
    parts: list[Evidence] = []
    for batch, length in zip(batches, lengths, strict=True):
        on_batch()
        parts.append(evidence_of_batch(model, batch, samples, generator, length))
    return Evidence.joined(parts)
