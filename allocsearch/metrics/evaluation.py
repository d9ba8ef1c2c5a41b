"""All measurements of one trained model on held-out data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from allocsearch.data.dataset import HELD_OUT
from allocsearch.data.splits import SearchData
from allocsearch.metrics.brackets import information_brackets
from allocsearch.metrics.evidence import Evidence, collect_evidence
from allocsearch.metrics.finite import check_finite
from allocsearch.metrics.information import active_units
from allocsearch.metrics.invariants import broken_invariants
from allocsearch.metrics.layers import draw_layers
from allocsearch.metrics.probe import probe_model
from allocsearch.metrics.recorded import (
    bound_metrics,
    detection_metrics,
    information_metrics,
)
from allocsearch.metrics.scorer import Passes, Scorer
from allocsearch.models.hvae import HVAE

# Draws that differ between the two uses of the validation data get seeds that differ.
_SCORES, _INFORMATION = 0, 1


@dataclass(frozen=True)
class Settings:
    """How a model is measured.

    Attributes:
        score: The OOD score behind `auroc`, or `auto` for the best on OOD validation data.
        samples: S, draws of the latents per example, for the information measures.
        score_samples: Draws of the latents per example, for the OOD scores.
        batch_size: Examples in one pass.
        seed: Seed of binarisation and latents.
        regret_steps: As `Passes`.
        probe: The layer whose posterior means are probed, or `all`; None for no probe.
    """

    score: str
    samples: int
    score_samples: int
    batch_size: int
    seed: int
    regret_steps: int = 0
    probe: int | str | None = None

    @property
    def passes(self) -> Passes:
        """Those of the OOD scores."""
        seed = self.seed * 2 + _SCORES
        return Passes(self.score_samples, self.batch_size, seed, self.regret_steps)


@dataclass(frozen=True)
class Measurement:
    """What was measured.

    Attributes:
        metrics: Every metric by name; information, rates, ELBO and distortion in nats.
        score: The OOD score behind `auroc`, or None where there is no OOD validation set.
        broken_invariants: Names of the invariants that do not hold beyond the noise.
        scores: For `validation` (ID) and each OOD validation set, every OOD score, `(n,)`.
    """

    metrics: Mapping[str, float]
    score: str | None
    broken_invariants: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Tensor]]


def measure(
    model: HVAE, data: SearchData, settings: Settings, on_batch: Callable[[], None] = lambda: None
) -> Measurement:
    """Measure a trained model on held-out ID data and OOD validation data.

    Args:
        model: A trained model, in eval mode.
        data: The data of the search; its training part is what scores and shares refer to.
        settings: How.
        on_batch: Called before every pass; what it raises ends the work.

    Raises:
        NotFiniteError: If a metric is NaN or infinite.
    """
    how = settings.passes
    held_out = collect_evidence(
        model, data.validation.values, how.samples, how.batch_size, how.seed, on_batch
    )
    metrics = bound_metrics(held_out, _modelled(model, data.validation.values))
    # A model that diverged at its last step is found before anything is fitted to it.
    check_finite(metrics)
    scorer = Scorer.fit(model, data.train.values, how, on_batch)
    scores = {HELD_OUT: scorer.score(data.validation.values, on_batch, held_out)}
    for dataset in data.ood_validation:
        scores[dataset.name] = scorer.score(dataset.values, on_batch)
    for name, own in scores.items():
        check_finite({f"{key} of {name}": float(each.sum()) for key, each in own.items()})
    total_rate = held_out.kl.sum(1)
    x, layers = draw_layers(
        model,
        data.validation.values,
        settings.samples,
        settings.batch_size,
        settings.seed * 2 + _INFORMATION,
        on_batch,
    )
    metrics |= _explained_shares(model, data.train.values, x, settings.batch_size, held_out)
    brackets = information_brackets(model, x, layers, total_rate, settings.seed, on_batch)
    for number, layer in enumerate(layers, 1):
        metrics[f"active_units_{number}"] = active_units(layer.mean.mean(1))
    metrics |= information_metrics(brackets)
    broken = broken_invariants(
        brackets,
        metrics["rate"],
        metrics["attenuation"],
        markov=model.markov,
        total_rate_se=float(total_rate.std() / len(total_rate) ** 0.5),
    )
    score = None
    if data.ood_validation:
        found, score = detection_metrics(scores, settings.score)
        metrics |= found
    if settings.probe is not None:
        probing = (settings.probe, settings.batch_size, settings.seed)
        metrics |= probe_model(model, data.probed, *probing, on_batch).metrics
    check_finite(metrics)
    return Measurement(metrics, score, broken, scores)


def _modelled(model: HVAE, values: Tensor) -> float:
    """Features of an example that are no pads, mean over the examples `(n, *shape)`."""
    x = model.likelihood.prepare(values, torch.Generator())
    return float(model.likelihood.modelled(x).double().mean())


def _explained_shares(
    model: HVAE, train: Tensor, x: Tensor, batch_size: int, evidence: Evidence
) -> dict[str, float]:
    """The share of the marginal model's code length that the latents explain, for every k.

    Of continuous data both are of densities, in units of the standardised data.

    Args:
        model: The model.
        train: Training examples, `(n, *shape)`.
        x: Model inputs of held-out examples, `(m, features)`.
        batch_size: Examples in one pass.
        evidence: Of the same examples.
    """
    parameters = model.likelihood.marginal_parameters(train)
    log_probs = [model.likelihood.log_prob(parameters, b) for b in torch.split(x, batch_size)]
    code_length = -torch.cat(log_probs).mean(dtype=torch.float64)
    distortions = -evidence.log_likelihood.mean(0, dtype=torch.float64)
    shares = (1 - distortions / code_length).tolist()
    return {f"explained_skip_{k}": share for k, share in enumerate(shares)}
