"""All measurements of a torch model that is not ours."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from allocsearch.data.dataset import HELD_OUT
from allocsearch.metrics.evidence import Evidence
from allocsearch.metrics.finite import check_finite
from allocsearch.metrics.foreign_model import (
    ForeignModel,
    ForeignTerms,
    collect_terms,
    draw_posteriors,
)
from allocsearch.metrics.information import active_units, information_bracket
from allocsearch.metrics.recorded import (
    bound_metrics,
    detection_metrics,
    information_metrics,
)
from allocsearch.metrics.reference import Reference
from allocsearch.metrics.scores import cheap_scores


def measure_foreign(
    model: ForeignModel,
    train: Tensor,
    validation: Tensor,
    ood: Mapping[str, Tensor] | None = None,
    *,
    score: str = "auto",
    samples: int = 16,
    score_samples: int = 4,
    batch_size: int = 500,
    seed: int = 0,
) -> dict[str, float]:
    """Measure a trained model on held-out ID data and OOD validation data.

    The metrics have the names and the meaning of those of a study: retention, attenuation, the
    bracket of I(x; z_l) and the active units of every layer, distortions, and AUROCs of every
    score on every OOD set. A model with `kl` has the ELBO, rates and all cheap scores but the
    importance-weighted ones, such as `llr_1`. One without is scored by `negative_log_likelihood`
    and by `likelihood_ratio_k`: log p(x given z) less that with the k lowest layers from their
    prior, which is LLR^{>k} without its KL terms.

    The upper bound of a layer above the first takes in at most log S nats, S = `samples`, of what
    its draw has from those below; more samples make it tighter.

    Args:
        model: A trained model, in eval mode; with `kl` it is a `ModelWithRates`.
        train: ID training examples, `(n, *shape)`, which scores are standardised by.
        validation: Held-out ID examples, `(m, *shape)`, with m above the dims of every layer.
        ood: OOD validation sets by name, each `(k, *shape)`.
        score: The score behind `auroc`, or `auto` for the best on these sets.
        samples: S, draws of the latents per example, for the information.
        score_samples: Draws of the latents per example, for the rest.
        batch_size: Examples in one pass.
        seed: Of all that is drawn; the states of torch's global generators are left as they were.

    Returns:
        Metrics by name; nats, or without unit.

    Raises:
        ValueError: If the model gives something else than the protocol says, there are too few
            examples, an OOD set is called `validation`, or there is no such score.
        NotFiniteError: If it gives NaN or infinity.
    """
    sets = {HELD_OUT: validation, **(ood or {})}
    if ood and HELD_OUT in ood:
        raise ValueError(f"an OOD set is called {HELD_OUT!r}, as the ID part is; choose another")
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        layers = draw_posteriors(model, validation, samples, batch_size)
        how = (len(layers), score_samples, batch_size, seed)
        reference = collect_terms(model, train, *how)
        terms = {name: collect_terms(model, x, *how) for name, x in sets.items()}
    held_out = terms[HELD_OUT]
    if held_out.kl is None:
        scores = {name: _ratios(each.log_likelihood) for name, each in terms.items()}
        metrics, total_rate = _distortions(held_out.log_likelihood), None
    else:
        known = {name: _evidence(each) for name, each in terms.items()}
        fitted = Reference.fit(_evidence(reference))
        scores = {name: _scores(each, fitted) for name, each in known.items()}
        metrics = bound_metrics(known[HELD_OUT], validation[0].numel())
        total_rate = held_out.kl.sum(1)
    brackets = [information_bracket(d.mean, d.log_var, d.z, total_rate) for d in layers]
    metrics |= information_metrics(brackets)
    for number, draws in enumerate(layers, 1):
        metrics[f"active_units_{number}"] = active_units(draws.mean.mean(1))
    if ood:
        allowed = ("auto", *scores[HELD_OUT])
        if score not in allowed:
            raise ValueError(f"no score {score!r}; allowed: {', '.join(allowed)}")
        metrics |= detection_metrics(scores, score)[0]
    check_finite(metrics)
    return metrics


def _evidence(terms: ForeignTerms) -> Evidence:
    """The evidence of a model with rates."""
    likelihood, kl = terms.log_likelihood, terms.kl
    if kl is None:
        raise ValueError("a model without rates gives no evidence")
    bounds = [likelihood[:, k] - kl[:, k:].sum(1) for k in range(kl.shape[1])]
    # Without its draws a model has no weights; of one draw the weighted bound is the bound.
    return Evidence(likelihood, torch.stack(bounds, 1), kl, kl, torch.empty(len(kl), 0))


def _scores(evidence: Evidence, reference: Reference) -> dict[str, Tensor]:
    """Every score that does not need the weights of the draws, each `(n,)`."""
    return {
        name: score.compute(evidence, reference).float()
        for name, score in cheap_scores(evidence.layers, compressed=False).items()
        if "iw_" not in name
    }


def _ratios(log_likelihood: Tensor) -> dict[str, Tensor]:
    """The scores that need no rates, from log p(x given z) of every k, each `(n,)`."""
    whole, *skipped = log_likelihood.unbind(1)
    ratios = {f"likelihood_ratio_{k}": whole - each for k, each in enumerate(skipped, 1)}
    return {"negative_log_likelihood": -whole, **ratios}


def _distortions(log_likelihood: Tensor) -> dict[str, float]:
    first, *skipped = (-log_likelihood.mean(0)).tolist()
    return {"distortion": first, **{f"distortion_skip_{k}": d for k, d in enumerate(skipped, 1)}}
