"""OOD scores of examples under a model: larger always means more OOD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from allocsearch.models.hvae import HVAE


@dataclass(frozen=True)
class Evidence:
    """What the passes over a data set gave, averaged over the draws of the latents.

    Attributes:
        log_likelihood: log p(x | z) with the k lowest latents at the mode of their prior,
            k = 0, ..., L - 1, nats, `(n, L)`.
        kl: Drawn KL term of each layer, log q - log p, bottom to top, nats, `(n, L)`.
        divergence: KL divergence of each layer in closed form at the drawn layer above, bottom to
            top, nats, `(n, L)`. Its noise is far smaller than that of the drawn terms; their sum
            over layers, unlike that of the drawn terms, is not the rate of the ELBO.
    """

    log_likelihood: Tensor
    kl: Tensor
    divergence: Tensor

    def bound(self, k: int) -> Tensor:
        """L^{>k}, nats, `(n,)`; the ELBO for k = 0."""
        return self.log_likelihood[:, k] - self.kl[:, k:].sum(1)


def collect_evidence(
    model: HVAE,
    values: Tensor,
    samples: int,
    batch_size: int,
    seed: int,
    on_batch: Callable[[], None] = lambda: None,
) -> Evidence:
    """Run the passes that every score is made of.

    Args:
        model: A trained model, in eval mode.
        values: Examples, `(n, *shape)`, uint8.
        samples: Draws of the latents for each example.
        batch_size: Examples in one pass.
        seed: Seed of binarisation and latents.
        on_batch: Called before every pass; what it raises ends the work.
    """
    generator = torch.Generator().manual_seed(seed)
    layers = model.allocation.layers
    log_likelihoods: list[Tensor] = []
    kls: list[Tensor] = []
    divergences: list[Tensor] = []
    with torch.inference_mode():
        for batch in torch.split(values, batch_size):
            on_batch()
            x = model.likelihood.prepare(batch, generator)
            latents = model.infer(x, model.draw_noise(len(batch), generator, samples))
            passes = [model.bound_terms(x, latents, k) for k in range(layers)]
            log_likelihoods.append(torch.stack([p.log_likelihood.mean(0) for p in passes], 1))
            kls.append(torch.stack([kl.sum(-1).mean(0) for kl in passes[0].kl], 1))
            priors = passes[0].priors
            closed = [z.analytic_kl(prior) for z, prior in zip(latents, priors, strict=True)]
            # In a model of one layer the closed form is the same for all draws.
            summed = [kl.sum(-1).expand(samples, len(batch)) for kl in closed]
            divergences.append(torch.stack([kl.mean(0) for kl in summed], 1))
    return Evidence(torch.cat(log_likelihoods), torch.cat(kls), torch.cat(divergences))


def score_all(evidence: Evidence) -> dict[str, Tensor]:
    """Every OOD score by name.

    `negative_elbo`; for k = 1, ..., L - 1 `negative_bound_k`, the negative of L^{>k}, and `llr_k`,
    LLR^{>k} = L^{>0} - L^{>k}; `kl_l`, the KL divergence of layer l in closed form.

    Returns:
        Nats, each `(n,)`.

    Reference: Havtorn et al. (2021), equations 6 and 8.
    """
    layers = evidence.kl.shape[1]
    elbo = evidence.bound(0)
    skipped = range(1, layers)
    return {
        "negative_elbo": -elbo,
        **{f"negative_bound_{k}": -evidence.bound(k) for k in skipped},
        **{f"llr_{k}": elbo - evidence.bound(k) for k in skipped},
        **{f"kl_{layer + 1}": evidence.divergence[:, layer] for layer in range(layers)},
    }
