from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.allocation import Allocation, Lattice
from allocsearch.search.sampling.surrogate import fit_surrogate, log_ratio_coordinates

LATTICE = list(Lattice(44, 3, 4, 4))


@settings(derandomize=True, max_examples=50, deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(1, 300), min_size=4, max_size=4), min_size=2, max_size=5)
)
def test_distances_are_those_of_aitchison(rows):
    found = log_ratio_coordinates([Allocation(tuple(row)) for row in rows], 4)
    centred = np.log(rows) - np.log(rows).mean(axis=1, keepdims=True)
    for i, j in itertools.combinations(range(len(rows)), 2):
        expected = np.linalg.norm(centred[i] - centred[j])
        assert np.linalg.norm(found[i] - found[j]) == pytest.approx(expected, abs=1e-9)


def test_coordinates_depend_on_ratios_and_on_the_number_of_layers():
    small, large, fewer = (Allocation(dims) for dims in [(8, 4, 2), (80, 40, 20), (10, 4)])
    assert log_ratio_coordinates([small], 3) == pytest.approx(log_ratio_coordinates([large], 3))
    assert len(np.unique(log_ratio_coordinates([small, fewer], 3), axis=0)) == 2
    assert log_ratio_coordinates([Allocation((5,))], 1).tolist() == [[0.0]]


def smooth(allocations):
    x = log_ratio_coordinates(allocations, 3)
    return np.stack([np.sin(x[:, 0]) + 0.5 * x[:, 1], 100 * np.cos(x[:, 1]) + 30 * x[:, 0]], 1)


NOISE = np.array([0.1, 5.0])


def studied(seed, trainings, residual=0.0):
    noise = NOISE
    rng = np.random.default_rng(seed)
    truth = smooth(LATTICE) + residual * noise * rng.normal(size=(len(LATTICE), 2))
    chosen = rng.permutation(len(LATTICE))[:trainings]
    counts = rng.integers(1, 4, trainings)
    means = truth[chosen] + noise * rng.normal(size=(trainings, 2)) / np.sqrt(counts)[:, None]
    fitted = fit_surrogate([LATTICE[i] for i in chosen], means, counts, noise**2, 30)
    return truth, chosen, means, fitted


def test_it_predicts_what_was_not_trained():
    truth, chosen, _, fitted = studied(0, 25)
    rest = np.setdiff1d(np.arange(len(LATTICE)), chosen)
    found, _ = fitted.posterior([LATTICE[i] for i in rest])
    errors = ((found - truth[rest]) ** 2).mean(axis=0)
    assert (errors < 0.1 * truth.var(axis=0)).all()


def test_neighbours_take_noise_off_what_was_trained():
    ratios = []
    for seed in range(6):
        truth, chosen, means, fitted = studied(seed, 25)
        own, _ = fitted.posterior([LATTICE[i] for i in chosen])
        before, after = ((each - truth[chosen]) ** 2 for each in (means, own))
        ratios.append(after.sum(axis=0) / before.sum(axis=0))
    assert np.mean(ratios) < 0.85


@pytest.mark.parametrize("residual", [0.0, 2.0])
def test_its_intervals_cover_the_truth(residual):
    inside = []
    for seed in range(12):
        truth, _, _, fitted = studied(seed, 20, residual=residual)
        mean, covariance = fitted.posterior(LATTICE)
        deviation = np.sqrt(np.array([np.diag(each) for each in covariance]).T)
        inside.append(np.abs(truth - mean) <= 1.645 * deviation)
    assert 0.82 <= np.mean(inside) <= 0.97


def test_draws_have_the_moments_of_the_posterior():
    _, chosen, _, fitted = studied(1, 10)
    trained = [LATTICE[i] for i in chosen]
    joint, single = [*trained, LATTICE[9]], LATTICE[10:13]
    first, second = fitted.draw(joint, single, 20_000, np.random.default_rng(0))
    mean, covariance = fitted.posterior([*joint, *single])
    drawn = np.concatenate([first, second], axis=1)
    for j in range(2):
        scale = np.sqrt(np.diag(covariance[j]))
        assert (drawn[:, :, j].mean(0) - mean[:, j]) / scale == pytest.approx(0, abs=0.05)
        correlation = np.cov(drawn[:, :, j].T) / np.outer(scale, scale)
        expected = covariance[j] / np.outer(scale, scale)
        # What is drawn singly has no covariance with each other beyond the joint ones.
        assert correlation[:11] == pytest.approx(expected[:11], abs=0.06)
        assert np.diag(correlation) == pytest.approx(np.diag(expected), abs=0.06)
    with pytest.raises(ValueError, match="drawn with all trained ones"):
        fitted.draw(trained[1:], single, 1, np.random.default_rng(0))


def test_exact_measurements_leave_no_doubt():
    means = smooth(LATTICE)
    fitted = fit_surrogate(LATTICE, means, np.ones(len(LATTICE), int), np.zeros(2), 5)
    found, covariance = fitted.posterior(LATTICE)
    assert found / means.std(axis=0) == pytest.approx(means / means.std(axis=0), abs=1e-3)
    assert np.sqrt(np.diag(covariance[0])).max() < 1e-3 * means[:, 0].std()


def test_replicates_tell_roughness_from_noise():
    rng = np.random.default_rng(0)
    chosen, new = LATTICE[::2], LATTICE[1::2]
    # Rough, with a noise as large: one training cannot tell them apart, a thousand can.
    values = rng.normal(size=(len(chosen), 1))
    doubts = []
    for count in (1, 1000):
        counts = np.full(len(chosen), count)
        fitted = fit_surrogate(chosen, values, counts, np.ones(1), 1000)
        _, covariance = fitted.posterior(new)
        doubts.append(np.sqrt(np.diag(covariance[0])).mean())
    assert doubts[0] < 0.6
    assert doubts[1] > 0.8


@pytest.mark.parametrize("allocations", [[(4, 2)], [(4, 2), (2, 4)], [(6,)], [(6,), (3, 3)]])
def test_few_allocations_and_constant_objectives(allocations):
    given = [Allocation(dims) for dims in allocations]
    means = np.stack([np.arange(len(given)) + 1.0, np.full(len(given), 7.0)], axis=1)
    fitted = fit_surrogate(given, means, np.ones(len(given), int), None)
    mean, covariance = fitted.posterior(given)
    assert np.isfinite(mean).all()
    assert np.isfinite(covariance).all()
    assert mean[:, 1] == pytest.approx(np.full(len(given), 7.0), abs=0.01)
