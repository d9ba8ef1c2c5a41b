"""A sampler that chooses among allocations by a regression on them."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from allocsearch.allocation import Allocation
from allocsearch.search.records import read_trial
from allocsearch.search.sampling.hypervolume_improvement import expected_improvement
from allocsearch.search.sampling.promotion import promoted
from allocsearch.search.sampling.proposal import FIXED_PARAMS, decode, parameters
from allocsearch.search.sampling.replicates import by_allocation, pooled_spread
from allocsearch.search.sampling.surrogate import fit_surrogate, log_ratio_coordinates
from allocsearch.spaces import Space

# Trainings that fill the space before a regression proposes any.
START = 4
# Random allocations of which the farthest from all others is one of those. Of more, the starts
# would be the ends of the simplex, where little is to be learned (benchmarks/RESULTS.md).
_APART = 3
# Of more allocations that can be proposed some are sampled; a longer list is not even made.
_ALL, _SAMPLE, _NEIGHBOURS = 2000, 1000, 20
_LISTED = 20_000
# Allocations that a regression can be fitted to in seconds: its time grows as their cube.
_MOST = 500
_DRAWS = 64


class LatticeGPSampler(BaseSampler):
    """Proposes the untrained allocation with the largest noisy expected hypervolume improvement.

    Candidates are allocations, not points of the parameters: all that no trial has been given, or
    of a space of more than 2,000 a sample with the neighbours of the front. The first four trials
    are the uniform split and, three times, of three random allocations the one that is farthest
    from all others in log-ratio coordinates.
    Then the regression of `surrogate` is drawn jointly at what was trained and what other trials
    are training, and `hypervolume_improvement` judges each candidate by those draws, so that what
    is proposed at the same time differs. Of more than 500 allocations it is fitted to 500: half of
    them the best by non-domination rank, the others at random and different for each trial.

    Args:
        space: The search space.
        seed: With the trials of the study it decides the proposal.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = seed

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters of the space."""
        return parameters(self.space)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of the proposed allocation; those with no part in it are left out."""
        if trial.system_attrs.get(FIXED_PARAMS):
            return {}
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        proposed = propose_allocation(others, self.space, study.directions, self.seed)
        return self.space.params(proposed)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:  # noqa: ANN401
        """A random value for a parameter that has no part in the allocation."""
        own = RandomSampler(seed=self.seed)
        return own.sample_independent(study, trial, param_name, param_distribution)


def propose_allocation(
    trials: Iterable[FrozenTrial],
    space: Space,
    directions: Sequence[StudyDirection],
    seed: int,
) -> Allocation:
    """The allocation to train next.

    Args:
        trials: All other trials of the study.
        space: The search space.
        directions: Of each objective.
        seed: Decides what is drawn.

    Returns:
        An allocation that no trial has been given; if there is none, any.
    """
    rng = np.random.default_rng(seed)
    names = parameters(space).keys()
    begun = [(trial, found) for trial in trials if (found := _allocation(trial, space, names))]
    given = {allocation for _, allocation in begun}
    signs = np.array([-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions])
    records = [
        replace(read_trial(trial), allocation=allocation)
        for trial, allocation in begun
        if trial.state == TrialState.COMPLETE and np.isfinite(trial.values).all()
    ]
    groups = by_allocation(records)
    trained = [group.allocation for group in groups if group.allocation]
    losses = np.array([group.mean for group in groups]).reshape(-1, len(signs)) * signs
    front = moocore.is_nondominated(losses) if len(losses) else np.zeros(0, dtype=bool)
    best = [trained[i] for i in np.flatnonzero(front)]
    others = _candidates(space, given, best, random.Random(seed))
    if not others:
        return space[int(rng.integers(min(space.size, 2**62)))]
    if len(given) < START or len(trained) < 2:
        return _opening(others, sorted(given), rng)
    pending = sorted(
        {allocation for trial, allocation in begun if not trial.state.is_finished()} - set(trained)
    )
    scale = np.ptp(losses, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    spread = pooled_spread(groups)
    chosen = _fitted(losses, rng)
    trained, losses = [trained[i] for i in chosen], losses[chosen]
    surrogate = fit_surrogate(
        trained,
        losses / scale,
        np.array([groups[i].count for i in chosen]),
        None if spread is None else np.diag(spread.covariance) / scale**2,
        0 if spread is None else spread.freedom,
    )
    drawn, each = surrogate.draw([*trained, *pending], others, _DRAWS, rng)
    gain = expected_improvement(drawn, each, (losses / scale).max(axis=0))
    return others[int(rng.choice(np.flatnonzero(gain >= gain.max())))]


def _allocation(trial: FrozenTrial, space: Space, names: Collection[str]) -> Allocation | None:
    """What a trial has been given; None as long as that is open."""
    recorded = read_trial(trial).allocation
    if recorded is not None:
        return recorded
    params = {**trial.system_attrs.get(FIXED_PARAMS, {}), **trial.params}
    return decode(space, params) if params.keys() >= set(names) else None


def _candidates(
    space: Space,
    given: set[Allocation],
    best: Sequence[Allocation],
    source: random.Random,
) -> list[Allocation]:
    """Allocations to choose from, none of which has been given to a trial."""
    if space.size <= _LISTED:
        free = [each for rank in range(space.size) if (each := space[rank]) not in given]
        # The first trial has no regression to wait for.
        if len(free) <= _ALL or not given:
            return free
    found = {space[source.randrange(space.size)]: None for _ in range(_SAMPLE)}
    for center in best:
        near = (each for each in space.outwards(center, source) if each not in given)
        found.update(dict.fromkeys(islice(near, _NEIGHBOURS)))
    return [each for each in found if each not in given]


def _fitted(losses: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Which of the trained allocations the regression is fitted to, in their order."""
    if len(losses) <= _MOST:
        return np.arange(len(losses))
    best = np.flatnonzero(promoted(losses, _MOST // 2))
    if len(best) > _MOST // 2:
        best = rng.choice(best, _MOST // 2, replace=False)
    others = np.setdiff1d(np.arange(len(losses)), best)
    return np.sort(np.append(best, rng.choice(others, _MOST - len(best), replace=False)))


def _opening(
    others: Sequence[Allocation], given: Sequence[Allocation], rng: np.random.Generator
) -> Allocation:
    """The most uniform split where nothing is given yet, else of a few one far from all given."""
    if not given:
        return min(others, key=lambda each: np.log(each.dims).var())
    drawn = [others[int(i)] for i in rng.permutation(len(others))[:_APART]]
    layers = max(allocation.layers for allocation in (*drawn, *given))
    points, taken = (log_ratio_coordinates(each, layers) for each in (drawn, given))
    nearest = np.linalg.norm(points[:, None] - taken, axis=2).min(axis=1)
    return drawn[int(nearest.argmax())]
