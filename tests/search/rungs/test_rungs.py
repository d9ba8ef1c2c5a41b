from __future__ import annotations

import dataclasses
import math
import warnings
from typing import get_args

import moocore
import numpy as np
import optuna
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from allocsearch.allocation import Allocation
from allocsearch.config import (
    EarlyStoppingSection,
    Objective,
    SamplerName,
    SearchSpaceSection,
)
from allocsearch.search.records import RungRecord, TrialRecord
from allocsearch.search.rungs.judging import calibrate, full_trainings, judge, looks
from allocsearch.search.sampling.losses import losses
from allocsearch.search.sampling.samplers import build_sampler
from allocsearch.spaces import build_space

FIXED = settings(derandomize=True, deadline=None)
AUTO = EarlyStoppingSection(mode="auto")
RUNG = 0.25
THREE = tuple(map(Objective.parse, ("max:retention", "min:attenuation", "max:auroc")))
ONE = THREE[:1]


def trained(number, early, final, *, judged=False, state="complete", rung=RUNG):
    """A trial with these values at a rung and at its end."""
    return TrialRecord(
        number=number,
        state=state,
        allocation=Allocation((number + 1, 1)),
        seed=number,
        values=tuple(map(float, final)) if state == "complete" else (),
        rungs=(RungRecord(rung, tuple(map(float, early)), judged),),
    )


def study(early, final, **changes):
    rows = zip(early, final, strict=True)
    return [trained(i, *values, **changes) for i, values in enumerate(rows)]


def correlated(rng, n, tau, *, heavy=False):
    """Pairs of a bivariate normal or of Student's t with 2 degrees of freedom, `(n, 1)` each."""
    rho = math.sin(math.pi * tau / 2)
    first, other = rng.normal(size=(2, n, 1))
    second = rho * first + math.sqrt(1 - rho**2) * other
    tails = np.sqrt(2 / rng.chisquare(2, size=(n, 1))) if heavy else 1.0
    return first * tails, second * tails


def test_looks_are_at_half_as_many_more_each():
    assert [*looks(8, 61)] == [8, 12, 18, 27, 41, 61]
    assert [*looks(8, 60)] == [8, 12, 18, 27, 41]
    assert [*looks(8, 7)] == []


def test_correlations_are_those_of_scipy():
    rng = np.random.default_rng(0)
    early = rng.integers(6, size=(25, 3))
    final = early + rng.integers(4, size=(25, 3))
    found = calibrate(study(early, final), THREE, RUNG, AUTO)
    assert (found.rung, found.n) == (RUNG, 25)
    for i, tau in enumerate(found.taus):
        assert tau.tau == pytest.approx(scipy.stats.kendalltau(early[:, i], final[:, i]).statistic)
        assert tau.low < tau.tau < tau.high
        # Several looks prove less than one would.
        assert found.proven[i] < tau.tau
    ranks = [moocore.pareto_rank(losses(values, THREE)) for values in (early, final)]
    assert found.rank_tau.tau == pytest.approx(scipy.stats.kendalltau(*ranks).statistic)


@pytest.mark.parametrize("heavy", [False, True])
def test_a_useless_rung_is_trusted_in_at_most_a_twentieth_of_studies(heavy):
    """One objective, and the worst case: a true tau of the threshold; 1,000 studies."""
    rng = np.random.default_rng(0)
    verdicts = []
    for _ in range(1000):
        early, final = correlated(rng, 60, AUTO.min_correlation, heavy=heavy)
        verdicts.append(calibrate(study(early, final), ONE, RUNG, AUTO).trusted)
    assert sum(verdicts) <= 50


def test_a_shuffled_rung_is_never_trusted():
    rng = np.random.default_rng(1)
    for _ in range(200):
        final = rng.normal(size=(60, 3))
        for objectives in (THREE, ONE):
            m = len(objectives)
            trials = study(rng.permutation(final)[:, :m], final[:, :m])
            assert not calibrate(trials, objectives, RUNG, AUTO).trusted


def test_a_rung_that_orders_one_objective_only_is_not_trusted():
    rng = np.random.default_rng(2)
    for useless in range(3):
        early = rng.normal(size=(60, 3))
        final = early.copy()
        final[:, useless] = rng.permutation(final[:, useless])
        found = calibrate(study(early, final), THREE, RUNG, AUTO)
        assert not found.trusted
        bounds = [bound > AUTO.min_correlation for bound in found.proven]
        assert bounds == [i != useless for i in range(3)]


def test_a_perfect_rung_is_trusted_at_the_first_look():
    values = np.random.default_rng(3).normal(size=(8, 3))
    for n in range(8):
        found = calibrate(study(values[:n], values[:n]), THREE, RUNG, AUTO)
        assert (found.verdict, found.n) == ("too few", n)
        assert len(found.taus) == len(found.proven) == 3
    # Only the order counts.
    found = calibrate(study(np.exp(values), values), THREE, RUNG, AUTO)
    assert (found.verdict, found.n) == ("trusted", 8)


def test_a_rung_that_orders_the_other_way_round_is_contradicted():
    values = np.random.default_rng(4).normal(size=(12, 3))
    early = values * [1, 1, -1]
    assert calibrate(study(early, values), THREE, RUNG, AUTO).verdict == "contradicted"


def test_equal_values_prove_nothing():
    values = np.random.default_rng(5).normal(size=(30, 3))
    saturated = values.copy()
    saturated[:, 2] = 1.0
    found = calibrate(study(values, saturated), THREE, RUNG, AUTO)
    assert found.taus[2] is None
    assert found.proven[2] == -1.0
    assert found.verdict == "not proven"


def test_a_rung_value_that_is_not_finite_is_no_obstacle():
    values = np.random.default_rng(6).normal(size=(12, 3))
    early = values.copy()
    early[0, 1] = math.inf
    found = calibrate(study(early, values), THREE, RUNG, AUTO)
    assert all(math.isfinite(tau.tau) for tau in (*found.taus, found.rank_tau))


def test_selected_trials_do_not_count():
    values = np.random.default_rng(7).normal(size=(6, 3))
    trials = study(values, values)
    kept = [trial.number for trial in trials]
    later = RungRecord(0.5, (0.0, 0.0, 0.0), False)
    judged = RungRecord(RUNG, (0.0, 0.0, 0.0), True)
    trials = [dataclasses.replace(trial, rungs=(*trial.rungs, later)) for trial in trials]
    changes = [
        {"rungs": (judged, later)},
        {"rungs": ()},
        *({"state": state} for state in ("running", "pruned", "failed", "interrupted")),
    ]
    others = [
        dataclasses.replace(trials[0], number=10 + i, allocation=Allocation((99, 1 + i)), **change)
        for i, change in enumerate(changes)
    ]
    found = full_trainings([*reversed(trials), *others], RUNG)
    assert [trial.number for trial in found] == kept
    # Judged early on, it is a selected one later, too; but not the other way round.
    assert [trial.number for trial in full_trainings([*trials, *others], 0.5)] == kept
    once = dataclasses.replace(
        trials[0], rungs=(trials[0].rungs[0], dataclasses.replace(later, judged=True))
    )
    assert full_trainings([once], RUNG) == (once,)
    assert full_trainings([once], 0.5) == ()


def test_of_several_trainings_of_an_allocation_the_first_counts():
    values = np.random.default_rng(8).normal(size=(8, 3))
    trials = study(values, values)
    again = [
        dataclasses.replace(trials[0], number=8, seed=8),
        dataclasses.replace(trials[1], number=9, allocation=None),
    ]
    found = full_trainings([*again, *trials], RUNG)
    assert [trial.number for trial in found] == [0, 1, 2, 3, 4, 5, 6, 7, 9]


def test_trust_stays_once_it_has_stopped_a_trial():
    rng = np.random.default_rng(9)
    trials = study(rng.normal(size=(20, 3)), rng.normal(size=(20, 3)))
    stopped = trained(20, (0, 0, 0), (), judged=True, state="pruned")
    assert not calibrate(trials, THREE, RUNG, AUTO).trusted
    assert calibrate([*trials, stopped], THREE, RUNG, AUTO).trusted
    # Where rungs judge without trust, that they have done so proves nothing.
    forced = EarlyStoppingSection(mode="forced")
    assert not calibrate([*trials, stopped], THREE, RUNG, forced).trusted
    assert not calibrate([*trials, stopped], THREE, 0.5, AUTO).trusted


def test_too_few_trials_are_not_judged():
    section = EarlyStoppingSection(mode="forced", reduction_factor=4)
    worst = (0.0, 1.0, 0.0)
    seen = study([(1.0, 0.0, 1.0)] * 3, [(1.0, 0.0, 1.0)] * 3)
    assert judge(seen[:2], worst, THREE, RUNG, section)
    assert not judge(seen, worst, THREE, RUNG, section)
    # At another rung none has been seen.
    assert judge(seen, worst, THREE, 0.5, section)


@pytest.mark.parametrize("state", ["failed", "interrupted", "waiting"])
def test_trials_that_came_to_nothing_do_not_count(state):
    seen = study([(1.0,)] * 5, [(1.0,)] * 5)
    assert not judge(seen, (0.0,), ONE, RUNG, AUTO)
    for trial_state in ("running", "pruned"):
        still = [dataclasses.replace(trial, state=trial_state) for trial in seen]
        assert not judge(still, (0.0,), ONE, RUNG, AUTO)
    assert judge(study([(1.0,)] * 5, [()] * 5, state=state), (0.0,), ONE, RUNG, AUTO)


def test_the_best_third_goes_on():
    seen = study([(float(v),) for v in range(8)], [(0.0,)] * 8)
    going = [judge(seen, (v - 0.5,), ONE, RUNG, AUTO) for v in range(9)]
    # Of nine, with the trial itself, three go on.
    assert going == [False] * 6 + [True] * 3
    lowest = (Objective.parse("min:retention"),)
    going = [judge(seen, (v - 0.5,), lowest, RUNG, AUTO) for v in range(9)]
    assert going == [True] * 3 + [False] * 6


@FIXED
@given(
    st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=2, max_size=30),
    st.sampled_from((2, 3, 5)),
)
def test_who_goes_on(points, factor):
    section = EarlyStoppingSection(mode="forced", reduction_factor=factor)
    *others, own = points
    found = judge(study(others, others), own, THREE, RUNG, section)
    assert found == judge(study(others, others), own, THREE, RUNG, section)

    def dominates(a, b):
        better = (a[0] >= b[0], a[1] <= b[1], a[2] >= b[2])
        return all(better) and a != b

    if len(points) < factor or not any(dominates(other, own) for other in others):
        assert found
    elif found:
        # Those that go on before it cannot be more than the share.
        assert sum(dominates(other, own) for other in others) < math.ceil(len(points) / factor)


def test_a_trial_without_finite_values_is_stopped():
    seen = study([(1.0, 1.0, 0.5)] * 8, [(0.0, 0.0, 0.0)] * 8)
    assert not judge(seen, (9.0, 0.0, math.nan), THREE, RUNG, AUTO)
    assert not judge(seen, (math.inf, 0.0, 1.0), THREE, RUNG, AUTO)
    assert judge(seen[:1], (9.0, 0.0, math.nan), THREE, RUNG, AUTO)


@pytest.mark.parametrize("name", get_args(SamplerName))
def test_every_sampler_goes_on_after_pruned_trials(name):
    """Those have no values, which several objectives could make a sampler trip over."""
    space = build_space(SearchSpaceSection(budget=12))
    sampler = build_sampler(name, 0, space, 0)
    study = optuna.create_study(directions=["maximize", "minimize", "maximize"], sampler=sampler)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        for number in range(16):
            trial = study.ask()
            x, y, _ = (d / 12 for d in space.suggest(trial).dims)
            if number % 4 == 3:
                study.tell(trial, state=TrialState.PRUNED)
            else:
                study.tell(trial, [x, y, x * y])
    assert sum(trial.state == TrialState.PRUNED for trial in study.trials) == 4
    assert all(trial.values is None for trial in study.trials[3::4])
    assert all(trial.state == TrialState.COMPLETE for trial in study.best_trials)


def test_tpe_keeps_away_from_where_trials_were_pruned():
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=optuna.samplers.TPESampler(seed=0)
    )
    for _ in range(60):
        trial = study.ask()
        x = trial.suggest_float("x", 0, 1)
        if x < 0.5:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, [x, x**2])
    begun = [trial.params["x"] for trial in study.trials]
    assert sum(x < 0.5 for x in begun[:10]) >= 3
    assert sum(x < 0.5 for x in begun[10:]) <= 10
