"""Which layers' dims decide what an allocation is good for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray

from allocsearch.allocation import Allocation
from allocsearch.config import Objective
from allocsearch.report.thinning import MOST
from allocsearch.search.sampling.losses import losses

# With fewer the best of them are too few to tell anything.
FEWEST = 20
# Optuna's advice for the trials above the quantile.
_FEWEST_BEST = 5
_QUANTILE = 0.1
LAYERS = "layers"


@dataclass(frozen=True)
class Importance:
    """The importance of the dims of each layer for each objective.

    Attributes:
        allocations: How many it is from.
        quantile: The best share of them, which is set against all.
        shares: By metric: by parameter, `d_1`, ..., `d_L` and, where the number of layers varies,
            `layers`; the shares of a metric sum to 1.
    """

    allocations: int
    quantile: float
    shares: Mapping[str, Mapping[str, float]]


def importance(
    allocations: Sequence[Allocation],
    means: NDArray[np.float64],
    objectives: Sequence[Objective],
    *,
    seed: int = 0,
) -> Importance:
    """The importance of dims by PED-ANOVA: how differently the best allocations split.

    For each parameter alone, the Pearson divergence of its distribution among the best from that
    among all. Importances of combinations are not in it. Dims sum to the budget, so that a layer
    can take part of its importance from another one.

    Args:
        allocations: At least `FEWEST`, each once, whose dims differ.
        means: The mean of each objective of each, `(n, m)`, finite.
        objectives: The m objectives.
        seed: Of the 1,000 that are taken where there are more.

    Returns:
        Without the objectives in which all are equal.

    Reference: Watanabe et al. (2023), "PED-ANOVA: efficiently quantifying hyperparameter
    importance in arbitrary subspaces".
    """
    cost = losses(means, objectives)
    if len(allocations) > MOST:
        kept = np.sort(np.random.default_rng(seed).choice(len(allocations), MOST, replace=False))
        allocations, cost = [allocations[i] for i in kept], cost[kept]
    quantile = max(_QUANTILE, _FEWEST_BEST / len(allocations))
    settings = _settings(allocations)
    return Importance(
        len(allocations),
        quantile,
        {
            objective.metric: _shares(settings, column.tolist(), quantile)
            for objective, column in zip(objectives, cost.T, strict=True)
            if np.ptp(column / 2) > 0
        },
    )


def _settings(allocations: Sequence[Allocation]) -> list[dict[str, int]]:
    """The parameters of each allocation; those that are alike in all are left out."""
    found = [
        {**{f"d_{i}": d for i, d in enumerate(each.dims, 1)}, LAYERS: each.layers}
        for each in allocations
    ]
    names = {name for setting in found for name in setting}
    # A layer that some allocations lack differs, whatever its dims are.
    alike = {name for name in names if len({setting.get(name) for setting in found}) == 1}
    return [{k: v for k, v in setting.items() if k not in alike} for setting in found]


def _shares(
    settings: Sequence[Mapping[str, int]], cost: Sequence[float], quantile: float
) -> dict[str, float]:
    # It brings scikit-learn, which takes a second.
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    names = sorted({name for setting in settings for name in setting}, key=_by_layer)
    ranges = {
        name: optuna.distributions.IntDistribution(min(known), max(known))
        for name in names
        if (known := [setting[name] for setting in settings if name in setting])
    }
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
    study.add_trials(
        [
            optuna.trial.create_trial(
                value=value,
                params=dict(setting),
                distributions={name: ranges[name] for name in setting},
            )
            for setting, value in zip(settings, cost, strict=True)
        ]
    )
    evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
    with warnings.catch_warnings():
        # A number of layers that one allocation alone has counts for next to nothing.
        warnings.filterwarnings("ignore", "Some regimes for parameter", UserWarning)
        found = get_param_importances(study, evaluator=evaluator)
    return {name: float(found[name]) for name in names}


def _by_layer(name: str) -> int:
    return 0 if name == LAYERS else int(name.removeprefix("d_"))
