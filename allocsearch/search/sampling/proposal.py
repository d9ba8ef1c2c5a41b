"""What a sampler proposes for a trial, before anything of it is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FixedTrial, FrozenTrial

from allocsearch.allocation import Allocation
from allocsearch.spaces import Space

# Where Optuna keeps the parameters that a trial is enqueued with.
FIXED_PARAMS = "fixed_params"


def parameters(space: Space) -> dict[str, BaseDistribution]:
    """The parameters of a space by name."""
    trial = optuna.create_study(sampler=RandomSampler(seed=0)).ask()
    space.suggest(trial)
    return trial.distributions


def propose(
    study: optuna.Study, sampler: BaseSampler, trial: FrozenTrial, space: Space
) -> dict[str, Any]:
    """A value for each parameter: those the trial was enqueued with, the others sampled.

    `optuna.Trial` does the same and records it at once, and no storage changes a parameter again.

    Args:
        study: The study.
        sampler: What samples.
        trial: A running trial without parameters.
        space: The search space.
    """
    sampler.before_trial(study, trial)
    # Asked even where all is fixed: NSGA-II assigns the generation of the trial here.
    searched = sampler.infer_relative_search_space(study, trial)
    params = sampler.sample_relative(study, trial, searched)
    params = {**params, **trial.system_attrs.get(FIXED_PARAMS, {})}
    for name, distribution in parameters(space).items():
        if name not in params:
            # What has one value only is none of the samplers' business.
            own = RandomSampler(seed=0) if distribution.single() else sampler
            params[name] = own.sample_independent(study, trial, name, distribution)
    return params


def decode(space: Space, params: Mapping[str, Any]) -> Allocation:
    """The allocation that parameters stand for."""
    return space.suggest(FixedTrial(dict(params)))


def encode(
    space: Space, allocation: Allocation, others: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Parameters that stand for an allocation; those that have no part in it from `others`.

    None for an allocation to which no floats lead, as some of a lattice of more than 2^52.
    """
    params = {**others, **space.params(allocation)}
    return params if decode(space, params) == allocation else None
