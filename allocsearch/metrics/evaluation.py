"""All measurements of one trained model on held-out data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from allocsearch.data.splits import SearchData
from allocsearch.metrics.auroc import auroc, best_score
from allocsearch.metrics.information import (
    InformationBracket,
    active_units,
    attenuation,
    information_bracket,
    retention,
)
from allocsearch.metrics.invariants import broken_invariants
from allocsearch.metrics.scores import Evidence, collect_evidence, score_all
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
    """

    score: str
    samples: int
    score_samples: int
    batch_size: int
    seed: int


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


class NotFiniteError(RuntimeError):
    """A metric of a model is NaN or infinite."""


def measure(
    model: HVAE, data: SearchData, settings: Settings, on_batch: Callable[[], None] = lambda: None
) -> Measurement:
    """Measure a trained model on held-out ID data and OOD validation data.

    Args:
        model: A trained model, in eval mode.
        data: The data of the search; its training part is not read.
        settings: How.
        on_batch: Called before every pass; what it raises ends the work.

    Raises:
        NotFiniteError: If a metric is NaN or infinite.
    """

    def evidence(values: Tensor) -> Evidence:
        return collect_evidence(
            model,
            values,
            settings.score_samples,
            settings.batch_size,
            settings.seed * 2 + _SCORES,
            on_batch,
        )

    held_out = evidence(data.validation.values)
    scores = {"validation": score_all(held_out)}
    for dataset in data.ood_validation:
        scores[dataset.name] = score_all(evidence(dataset.values))
        _check_finite(
            {f"{key} of {dataset.name}": float(v.sum()) for key, v in scores[dataset.name].items()}
        )
    metrics = _bound_metrics(held_out)
    # A model that diverged at its last step is found before its information is computed.
    _check_finite(metrics)
    total_rate = held_out.kl.sum(1)
    brackets = []
    for number, layer in enumerate(
        _draw_layers(model, data.validation.values, settings, on_batch), 1
    ):
        on_batch()
        brackets.append(information_bracket(*layer, total_rate))
        metrics[f"active_units_{number}"] = active_units(layer[0].mean(1))
    metrics |= _information_metrics(brackets)
    broken = broken_invariants(
        brackets,
        metrics["rate"],
        metrics["attenuation"],
        skip=model.skip,
        total_rate_se=float(total_rate.std() / len(total_rate) ** 0.5),
    )
    score = None
    if data.ood_validation:
        ood = [dataset.name for dataset in data.ood_validation]
        aurocs = {
            name: {key: auroc(scores["validation"][key], s) for key, s in scores[name].items()}
            for name in ood
        }
        score = best_score(aurocs) if settings.score == "auto" else settings.score
        for name, table in aurocs.items():
            metrics |= {f"auroc.{name}.{key}": value for key, value in table.items()}
        metrics["auroc"] = fmean(aurocs[name][score] for name in ood)
        metrics["auroc_worst"] = min(aurocs[name][score] for name in ood)
    _check_finite(metrics)
    return Measurement(metrics, score, broken, scores)


def _check_finite(metrics: Mapping[str, float]) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise NotFiniteError(f"{name} is {value} on validation data")


def _bound_metrics(evidence: Evidence) -> dict[str, float]:
    """ELBO, distortion and rates of the ID validation data."""
    rates = evidence.kl.mean(0).tolist()
    distortions = (-evidence.log_likelihood.mean(0)).tolist()
    return {
        "elbo": float(evidence.bound(0).mean()),
        "distortion": distortions[0],
        **{f"distortion_skip_{k}": value for k, value in enumerate(distortions) if k},
        "rate": sum(rates),
        **{f"rate_{layer}": value for layer, value in enumerate(rates, 1)},
    }


def _information_metrics(brackets: Sequence[InformationBracket]) -> dict[str, float]:
    """Information brackets, retention and attenuation."""
    upper = [bracket.upper for bracket in brackets]
    metrics = {"retention": retention(upper), "attenuation": attenuation(upper)}
    for number, bracket in enumerate(brackets, 1):
        metrics |= {
            f"information_{number}": bracket.upper,
            f"information_se_{number}": bracket.upper_se,
            f"information_lower_{number}": bracket.lower,
            f"information_lower_se_{number}": bracket.lower_se,
            f"information_saturated_{number}": float(bracket.saturated),
        }
    return metrics


def _draw_layers(
    model: HVAE, values: Tensor, settings: Settings, on_batch: Callable[[], None]
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Posterior means, log variances and draws of each layer, each `(n, S, d_l)`.

    The posterior of layer 1 is one Gaussian, so that one draw of it is enough: there S is 1.
    """
    generator = torch.Generator().manual_seed(settings.seed * 2 + _INFORMATION)
    batches: list[list[tuple[Tensor, Tensor, Tensor]]] = []
    with torch.inference_mode():
        for batch in torch.split(values, settings.batch_size):
            on_batch()
            x = model.likelihood.prepare(batch, generator)
            noise = model.draw_noise(len(batch), generator, settings.samples)
            first, *above = model.infer(x, noise)
            posterior = first.posterior
            drawn = [(posterior.mean[:, None], posterior.log_var[:, None], first.z[0][:, None])]
            for latent in above:
                parts = (latent.posterior.mean, latent.posterior.log_var, latent.z)
                mean, log_var, z = (part.transpose(0, 1) for part in parts)
                drawn.append((mean, log_var, z))
            batches.append(drawn)
    layers = []
    for layer in zip(*batches, strict=True):
        means, log_vars, draws = zip(*layer, strict=True)
        layers.append((torch.cat(means), torch.cat(log_vars), torch.cat(draws)))
    return layers
