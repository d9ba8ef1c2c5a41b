"""The names of what is measured."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocsearch.config.resolved import StudyConfig

# Columns of tables of trials that hold something else.
_COLUMNS = re.compile(
    r"number|state|allocation|ratio|d_[0-9]+|seed|on_front|recommended|duration_s|reason|retry_of"
    r"|warm_start|trainings|front_probability|rung|counts|parameter"
)
# Of the score behind `auroc`, for each OOD validation set.
_DETECTION = ("auroc_low", "auroc_high", "aupr_ood", "aupr_id", "fpr80", "fpr95")


def is_column(name: str) -> bool:
    """Whether tables of trials have a column of this name that is no metric."""
    return _COLUMNS.fullmatch(name) is not None


def score_names(layers: int, *, compressed: bool = True, regret: bool = False) -> tuple[str, ...]:
    """The OOD scores of a model with `layers` layers (larger is more OOD).

    Args:
        layers: L.
        compressed: Whether examples are bytes, whose length under a compressor means something.
        regret: Whether the likelihood regret is asked for, which is slow.
    """
    names: list[str] = []
    for prefix in ("", "iw_"):
        names.append(f"negative_{prefix}elbo")
        names += [f"negative_{prefix}bound_{k}" for k in range(1, layers)]
        names += [f"{prefix}llr_{k}" for k in range(1, layers)]
    for layer in range(1, layers + 1):
        names += [f"kl_{layer}", f"kl_z_{layer}", f"kl_abs_z_{layer}"]
    names += ["mahalanobis", "density", *(["weighted_llr"] if layers > 1 else []), "typicality"]
    names += ["complexity_png", "complexity_zlib"] if compressed else []
    return (*names, *(["likelihood_regret"] if regret else []))


def metric_names(config: StudyConfig) -> tuple[str, ...]:
    """Every metric that each trial of the study records, and so may be an objective."""
    layers = min(config.search_space.layer_counts)
    names = ["retention", "attenuation", "elbo", "bits_per_dim", "distortion", "rate"]
    for layer in range(1, layers + 1):
        names += [f"{kind}_{layer}" for kind in ("rate", "information", "active_units")]
    names += [f"distortion_skip_{k}" for k in range(1, layers)]
    names += [f"explained_skip_{k}" for k in range(layers)]
    if config.evaluation.probe is not None:
        names += ["probe_accuracy", "probe_accuracy_knn"]
    if config.ood_validation:
        names += ["auroc", "auroc_low", "auroc_high", "auroc_worst"]
    scores = config.evaluation.score_names(layers, config.model)
    for entry in config.ood_validation:
        names += [f"auroc.{entry.title}.{score}" for score in scores]
        names += [f"{metric}.{entry.title}" for metric in _DETECTION]
    return tuple(names)
