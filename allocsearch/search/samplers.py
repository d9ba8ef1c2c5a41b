"""Optuna's samplers by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from optuna import samplers
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler

from allocsearch.config import SamplerName

_SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: samplers.TPESampler(seed=seed),
    "nsga2": lambda seed: samplers.NSGAIISampler(seed=seed),
    "gp": lambda seed: samplers.GPSampler(seed=seed),
    "random": lambda seed: samplers.RandomSampler(seed=seed),
    # The trials of a grid are enqueued with their parameters: nothing is left to sample.
    "grid": lambda seed: samplers.RandomSampler(seed=seed),
}


def build_sampler(name: SamplerName, seed: int) -> BaseSampler:
    """The sampler `name`, seeded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return _SAMPLERS[name](seed)
