from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from allocsearch.allocation import Lattice
from allocsearch.search.sampling.front_probability import front_probability, front_volume
from allocsearch.search.sampling.replicates import Spread
from allocsearch.search.sampling.surrogate import log_ratio_coordinates

DRAWS = 20_000
# Four standard errors of a share of so many draws.
CLOSE = 4 * 0.5 / math.sqrt(DRAWS)


def _spread(*deviations: float, freedom: int = 10**6) -> Spread:
    return Spread(np.diag(np.square(deviations)), freedom)


@pytest.mark.parametrize("freedom", [1, 3, 10**6])
@pytest.mark.parametrize("distance", [0.0, 0.1, 0.5, 2.0])
@pytest.mark.parametrize("counts", [(1, 1), (1, 3)])
def test_two_allocations_with_one_objective(distance, counts, freedom):
    losses = np.array([[0.0], [distance]])
    found = front_probability(losses, np.array(counts), _spread(0.3, freedom=freedom), draws=DRAWS)
    error = 0.3 * math.sqrt(1 / counts[0] + 1 / counts[1])
    expected = stats.t(freedom).cdf(distance / error)
    assert found == pytest.approx([expected, 1 - expected], abs=CLOSE)


def test_equal_allocations_with_one_objective_share_the_front():
    found = front_probability(np.zeros((5, 1)), np.ones(5, int), _spread(1.0), draws=DRAWS)
    assert found == pytest.approx(0.2, abs=CLOSE)


def test_two_allocations_with_two_objectives_by_the_bivariate_normal():
    # The second is dominated if the first is lower in both.
    covariance = np.array([[0.04, 0.018], [0.018, 0.09]])
    losses = np.array([[0.0, 0.0], [0.1, 0.2]])
    spread = Spread(covariance, 10**6)
    found = front_probability(losses, np.ones(2, int), spread, draws=DRAWS)
    difference = stats.multivariate_normal([0, 0], 2 * covariance)
    assert found[1] == pytest.approx(1 - difference.cdf([0.1, 0.2]), abs=CLOSE)
    assert found[0] == pytest.approx(1 - difference.cdf([-0.1, -0.2]), abs=CLOSE)


def _by_definition(losses, counts, spread, draws, seed):
    """Own draws, no filter, and the definition of domination."""
    rng = np.random.default_rng(seed)
    hits = np.zeros(len(losses))
    for _ in range(draws):
        width = math.sqrt(spread.freedom / rng.chisquare(spread.freedom))
        noise = rng.multivariate_normal(np.zeros(losses.shape[1]), spread.covariance, len(losses))
        drawn = losses + width * noise / np.sqrt(counts)[:, None]
        no_worse = (drawn[:, None] <= drawn[None]).all(-1)
        better = (drawn[:, None] < drawn[None]).any(-1)
        hits += ~(no_worse & better).any(axis=0)
    return hits / draws


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_as_by_definition(objectives):
    rng = np.random.default_rng(objectives)
    losses = rng.normal(size=(12, objectives))
    counts = rng.integers(1, 4, 12)
    root = rng.normal(size=(objectives, objectives)) * 0.4
    spread = Spread(root @ root.T, 6)
    found = front_probability(losses, counts, spread, draws=DRAWS)
    expected = _by_definition(losses, counts, spread, 4000, 11)
    assert found == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 4000 + 0.25 / DRAWS))


@settings(derandomize=True, max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(*[st.sampled_from([-1.0, 0.0, 0.5, 2.0])] * 2), min_size=0, max_size=12
    )
)
def test_without_noise_it_is_the_front_itself(rows):
    losses = np.array(rows, dtype=float).reshape(-1, 2)
    found = front_probability(losses, np.ones(len(losses), int), _spread(0.0, 0.0), draws=5)
    expected = [not any((a <= b).all() and (a < b).any() for a in losses) for b in losses]
    assert found.tolist() == list(map(float, expected))


def test_what_is_far_away_changes_nothing():
    rng = np.random.default_rng(0)
    near, far = rng.normal(size=(8, 2)), rng.normal(size=(200, 2)) + 50
    few = front_probability(near, np.ones(8, int), _spread(0.3, 0.3))
    many = front_probability(np.concatenate([near, far]), np.ones(208, int), _spread(0.3, 0.3))
    # The far ones are not even drawn, so that the draws of the near ones are the same.
    assert many.tolist() == [*few, *[0.0] * 200]


def test_the_same_seed_gives_the_same():
    losses = np.random.default_rng(0).normal(size=(10, 3))
    spread = _spread(0.3, 0.3, 0.3)
    first, again, other = (
        front_probability(losses, np.ones(10, int), spread, seed=seed) for seed in (1, 1, 2)
    )
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


LATTICE = list(Lattice(44, 3, 4, 4))


def _study(seed, trainings=25):
    """Allocations with smooth means and one training each: probabilities, and the truth."""
    rng = np.random.default_rng(seed)
    points = log_ratio_coordinates(LATTICE, 3)
    means = np.cos(points @ rng.normal(size=(2, 6)) + rng.uniform(0, 6, 6)) @ rng.normal(
        size=(6, 2)
    )
    chosen = rng.permutation(len(LATTICE))[:trainings]
    covariance = np.array([[0.09, 0.05], [0.05, 0.09]]) * means.var()
    noise = rng.multivariate_normal(np.zeros(2), covariance, trainings)
    losses, spread = means[chosen] + noise, Spread(covariance, 20)
    known = [LATTICE[i] for i in chosen]
    found, flat = (
        front_probability(losses, np.ones(trainings, int), spread, given, draws=400, seed=seed)
        for given in (known, ())
    )
    better = (means[chosen][:, None] < means[chosen][None]).all(axis=-1)
    return found, flat, ~better.any(axis=0)


def test_probabilities_given_a_regression_are_calibrated_and_sharper():
    found, flat, truth = map(np.concatenate, zip(*map(_study, range(30)), strict=True))
    for low, high in [(0.0, 0.2), (0.2, 0.6), (0.6, 1.01)]:
        inside = (found >= low) & (found < high)
        assert inside.sum() > 40
        assert truth[inside].mean() == pytest.approx(found[inside].mean(), abs=0.1)
    assert ((found - truth) ** 2).mean() < 0.95 * ((flat - truth) ** 2).mean()


def test_without_known_allocations_or_with_few_the_prior_is_flat():
    losses = np.random.default_rng(0).normal(size=(6, 2))
    spread, ones = _spread(0.3, 0.3), np.ones(6, int)
    flat = front_probability(losses, ones, spread).tolist()
    known = LATTICE[:6]
    assert front_probability(losses, ones, spread, [*known[:5], None]).tolist() == flat
    assert front_probability(losses, ones, spread, known).tolist() != flat
    few = front_probability(losses[:4], ones[:4], spread).tolist()
    assert front_probability(losses[:4], ones[:4], spread, known[:4]).tolist() == few


def test_exact_means_leave_no_doubt_of_a_regression():
    losses = np.random.default_rng(1).normal(size=(12, 2))
    found = front_probability(losses, np.ones(12, int), _spread(0.0, 0.0), LATTICE[:12])
    dominated = [any((a < b).all() for a in losses) for b in losses]
    assert found == pytest.approx([float(not each) for each in dominated], abs=0.02)


@pytest.mark.parametrize(("correlation", "members"), [(0.999, 1.0), (-0.999, 8.0)])
def test_errors_that_go_together_leave_one_on_the_front_of_a_regression(correlation, members):
    # Nothing but noise: of points on a rising line one is on the front, of a falling one all.
    allocations = list(Lattice(44, 3, 4, 4))[:8]
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, correlation], [correlation, 1.0]])
    losses = rng.multivariate_normal(np.zeros(2), covariance, 8)
    spread = Spread(covariance, 1000)
    found = front_probability(losses, np.ones(8, int), spread, allocations, draws=500)
    assert abs(found.sum() - members) < 0.25 * 8


def test_units_do_not_matter_to_a_regression():
    losses = np.random.default_rng(2).normal(size=(12, 2))
    scale = np.array([100.0, 0.01])
    one = front_probability(losses, np.ones(12, int), _spread(0.3, 0.3), LATTICE[:12])
    other = front_probability(losses * scale, np.ones(12, int), _spread(30.0, 0.003), LATTICE[:12])
    assert one == pytest.approx(other, abs=0.01)


def _volume(losses, spread=None, counts=None, **options):
    losses = np.asarray(losses, dtype=float)
    counts = np.ones(len(losses), int) if counts is None else counts
    m = losses.shape[1]
    return front_volume(losses, counts, spread, np.ones(m), np.zeros(m), **options)


def test_hypervolume_of_boxes_by_hand():
    assert _volume([[0.25]]).value == pytest.approx(0.75)
    # Two rectangles of 0.8 x 0.5 and 0.4 x 0.9 that share 0.4 x 0.5.
    assert _volume([[0.2, 0.5], [0.6, 0.1], [0.7, 0.7]]).value == pytest.approx(0.56)
    assert _volume([[0.0, 0.0, 0.0]]).value == pytest.approx(1.0)
    assert _volume([[1.0, 0.0, 0.0]]).value == 0.0


def test_hypervolume_is_the_share_of_random_points_that_the_front_dominates():
    losses = np.random.default_rng(0).uniform(size=(15, 3))
    points = np.random.default_rng(1).uniform(size=(20_000, 3))
    share = (losses[None] <= points[:, None]).all(-1).any(-1).mean()
    assert _volume(losses).value == pytest.approx(share, abs=4 * 0.5 / math.sqrt(20_000))


def test_hypervolume_does_not_depend_on_units():
    losses = np.random.default_rng(0).normal(size=(9, 2))
    ends = losses.max(axis=0), losses.min(axis=0)
    counts, scale = np.ones(9, int), np.array([100.0, 0.01])
    one = front_volume(losses, counts, _spread(0.2, 0.3), *ends)
    other = front_volume(
        losses * scale, counts, _spread(20.0, 0.003), *(end * scale for end in ends)
    )
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


def test_an_objective_without_range_is_left_out():
    losses = np.array([[0.25, 3.0], [0.5, 3.0]])
    found = front_volume(losses, np.ones(2, int), None, np.array([1.0, 3.0]), np.array([0.0, 3.0]))
    assert found.value == pytest.approx(0.75)
    flat = np.array([3.0])
    assert front_volume(losses[:, 1:], np.ones(2, int), None, flat, flat).value == 0.0


def test_interval_of_one_allocation_is_that_of_its_mean():
    found = _volume([[0.5]], _spread(0.05), counts=np.array([4]), draws=DRAWS)
    half = 1.96 * 0.05 / 2
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.002)
    unknown = _volume([[0.5]])
    assert (unknown.low, unknown.high) == (None, None)


def test_interval_covers_where_the_best_of_many_is_too_good():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.2, 0.8, size=(30, 2))
    true, spread = _volume(truth).value, _spread(0.08, 0.08)
    covered, plain = 0, []
    for seed in range(60):
        measured = truth + rng.normal(size=truth.shape) * 0.08
        found = _volume(measured, spread, draws=200, seed=seed)
        covered += found.low <= true <= found.high
        plain.append(found.value)
    assert np.mean(plain) > true + 0.02
    assert covered >= 51
