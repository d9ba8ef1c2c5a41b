"""Samplers by name: Optuna's, and the one of this package."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from optuna import samplers
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from allocsearch.config import SamplerName
from allocsearch.search.sampling.lattice_sampler import LatticeGPSampler
from allocsearch.search.sampling.proposal import parameters
from allocsearch.spaces import Space

_SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: samplers.TPESampler(seed=seed),
    "nsga2": lambda seed: samplers.NSGAIISampler(seed=seed),
    "nsga3": lambda seed: samplers.NSGAIIISampler(seed=seed),
    "gp": lambda seed: samplers.GPSampler(seed=seed),
    "random": lambda seed: samplers.RandomSampler(seed=seed),
    # The trials of a grid are enqueued with their parameters: nothing is left to sample.
    "grid": lambda seed: samplers.RandomSampler(seed=seed),
}


class SobolSampler(samplers.QMCSampler):
    """Optuna's Sobol sequence over the parameters of a space, from the first trial on.

    Optuna learns the parameters from a finished trial, and draws at random until there is one.

    Args:
        space: The search space.
        study_seed: Scrambles the sequence: the same for all trials of a study. Its storage counts
            how much of the sequence has been used.
    """

    def __init__(self, space: Space, study_seed: int) -> None:
        super().__init__(scramble=True, seed=study_seed, warn_independent_sampling=False)
        self.space = space

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters of the space that have more than one value."""
        found = parameters(self.space)
        return {name: values for name, values in found.items() if not values.single()}


def build_sampler(name: SamplerName, seed: int, space: Space, study_seed: int) -> BaseSampler:
    """The sampler `name`.

    Args:
        name: Its name.
        seed: Seed of one trial.
        space: The search space.
        study_seed: Seed of the study, for a sampler whose trials are one sequence.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if name == "lattice_gp":
            return LatticeGPSampler(space, seed)
        if name == "qmc":
            return SobolSampler(space, study_seed)
        return _SAMPLERS[name](seed)
