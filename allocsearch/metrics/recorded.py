"""The metrics of a trial by name, from what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean

from torch import Tensor

from allocsearch.data.dataset import HELD_OUT
from allocsearch.metrics.auroc import auroc, best_score
from allocsearch.metrics.detection import detection
from allocsearch.metrics.evidence import Evidence
from allocsearch.metrics.information import InformationBracket, attenuation, retention
from allocsearch.metrics.intervals import auroc_interval


def detection_metrics(
    scores: Mapping[str, Mapping[str, Tensor]], named: str
) -> tuple[dict[str, float], str]:
    """AUROCs of every score on every OOD validation set, and all else of one score.

    Args:
        scores: For `validation` (ID) and each OOD validation set, every OOD score, `(n,)`.
        named: The score behind `auroc`, or `auto` for the best on these sets.

    Returns:
        The metrics, and the score behind `auroc`.
    """
    held_out = scores[HELD_OUT]
    ood = [name for name in scores if name != HELD_OUT]
    aurocs = {
        name: {key: auroc(held_out[key], each) for key, each in scores[name].items()}
        for name in ood
    }
    score = best_score(aurocs) if named == "auto" else named
    metrics: dict[str, float] = {}
    for name, table in aurocs.items():
        metrics |= {f"auroc.{name}.{key}": value for key, value in table.items()}
    metrics["auroc"] = fmean(aurocs[name][score] for name in ood)
    metrics["auroc_worst"] = min(aurocs[name][score] for name in ood)
    metrics |= _score_metrics(held_out[score], {name: scores[name][score] for name in ood})
    return metrics, score


def _score_metrics(held_out: Tensor, ood: Mapping[str, Tensor]) -> dict[str, float]:
    """AUPR, false-positive rates and 95 % intervals of AUROCs for one score.

    The intervals are over the choice of examples, for this training and this score: they count
    neither what another seed gives nor that the score may be the best one on these examples.

    Args:
        held_out: Scores of ID examples, `(n,)`.
        ood: Scores of the examples of each OOD validation set, `(m,)`.
    """
    low, high = auroc_interval(held_out, *ood.values())
    metrics = {"auroc_low": float(low), "auroc_high": float(high)}
    for name, scores in ood.items():
        low, high = auroc_interval(held_out, scores)
        metrics |= {f"auroc_low.{name}": float(low), f"auroc_high.{name}": float(high)}
        found = asdict(detection(held_out, scores))
        # The AUROC itself is recorded for every score.
        metrics |= {f"{key}.{name}": v for key, v in found.items() if key != "auroc"}
    return metrics


def bound_metrics(evidence: Evidence, features: float) -> dict[str, float]:
    """ELBO, distortion and rates of the ID validation data.

    `bits_per_dim` is the negative ELBO in bits for each of the features: of discrete data a code
    length, 0 or more; of continuous data that of a density, in units of the standardised data.

    Args:
        evidence: Of the ID validation data.
        features: Those of an example that are modelled, their mean over the examples.
    """
    elbo = float(evidence.bound(0).mean())
    rates = evidence.kl.mean(0).tolist()
    distortions = (-evidence.log_likelihood.mean(0)).tolist()
    return {
        "elbo": elbo,
        "bits_per_dim": -elbo / (features * math.log(2)),
        "distortion": distortions[0],
        **{f"distortion_skip_{k}": value for k, value in enumerate(distortions) if k},
        "rate": sum(rates),
        **{f"rate_{layer}": value for layer, value in enumerate(rates, 1)},
    }


def information_metrics(brackets: Sequence[InformationBracket]) -> dict[str, float]:
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
