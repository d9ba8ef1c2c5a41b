"""The names of what is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocsearch.config.resolved import StudyConfig


def score_names(layers: int) -> tuple[str, ...]:
    """The OOD scores of a model with `layers` layers (larger is more OOD)."""
    return (
        "negative_elbo",
        *(f"negative_bound_{k}" for k in range(1, layers)),
        *(f"llr_{k}" for k in range(1, layers)),
        *(f"kl_{layer}" for layer in range(1, layers + 1)),
    )


def metric_names(config: StudyConfig) -> tuple[str, ...]:
    """Every metric that each trial of the study records, and so may be an objective."""
    layers = min(config.search_space.layer_counts)
    names = ["retention", "attenuation", "elbo", "bits_per_dim", "distortion", "rate"]
    for layer in range(1, layers + 1):
        names += [f"{kind}_{layer}" for kind in ("rate", "information", "active_units")]
    names += [f"distortion_skip_{k}" for k in range(1, layers)]
    names += [f"explained_skip_{k}" for k in range(layers)]
    if config.data.ood_validation:
        names += ["auroc", "auroc_worst"]
    for entry in config.data.ood_validation:
        names += [f"auroc.{entry.title}.{score}" for score in score_names(layers)]
    return tuple(names)
