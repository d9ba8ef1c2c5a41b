from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.search.sampling.promotion import epsilon_net, promoted

FIXED = settings(derandomize=True, deadline=None)
POINTS = st.integers(1, 3).flatmap(
    lambda m: st.lists(st.tuples(*[st.integers(0, 4)] * m), min_size=1, max_size=25)
)


def ranks_by_peeling(points):
    """Non-domination ranks by the definition."""
    left, ranks, rank = set(range(len(points))), {}, 0
    while left:
        front = {
            i
            for i in left
            if not any(
                all(a <= b for a, b in zip(points[j], points[i], strict=True))
                and points[j] != points[i]
                for j in left
            )
        }
        ranks.update(dict.fromkeys(front, rank))
        left -= front
        rank += 1
    return [ranks[i] for i in range(len(points))]


@FIXED
@given(POINTS, st.integers(1, 25))
def test_the_best_ranks_are_kept(points, keep):
    ranks = ranks_by_peeling(points)
    kept = promoted(np.array(points, dtype=float), keep)
    assert kept.sum() == max(ranks.count(0), min(keep, len(points)))
    assert all(kept[i] for i, rank in enumerate(ranks) if rank == 0)
    worst = max(rank for rank, stays in zip(ranks, kept, strict=True) if stays)
    assert all(kept[i] for i, rank in enumerate(ranks) if rank < worst)


@FIXED
@given(POINTS, st.data())
def test_an_epsilon_net_is_the_greedy_permutation(points, data):
    count = data.draw(st.integers(1, len(points)))
    order = [min(range(len(points)), key=lambda i: points[i][0])]
    while len(order) < count:
        distance = {
            i: min(math.dist(points[i], points[j]) for j in order)
            for i in range(len(points))
            if i not in order
        }
        order.append(max(distance, key=lambda i: (round(distance[i], 9), -i)))
    assert epsilon_net(np.array(points, dtype=float), count).tolist() == order


def test_ties_inside_a_rank_go_to_what_is_far_apart():
    # One point dominates a line of five, of which two have room: its ends.
    line = [(2.0, 10.0), (2.1, 9.9), (2.2, 9.8), (2.3, 9.7), (6.0, 3.0)]
    kept = promoted(np.array([(0.0, 0.0), *line]), 3)
    assert kept.tolist() == [True, True, False, False, False, True]


def test_units_do_not_matter():
    rng = np.random.default_rng(1)
    for keep in (10, 20, 30):
        losses = rng.normal(size=(40, 3))
        kept = promoted(losses, keep)
        assert (promoted(losses * [1e-6, 1.0, 1e6] + [3.0, 0.0, -7.0], keep) == kept).all()


def test_values_that_are_not_finite_are_behind_all_others():
    points = np.array([[math.nan, -9.0], [1.0, 1.0], [2.0, 2.0], [-math.inf, math.inf]])
    for keep, kept in ((1, [1]), (2, [1, 2]), (3, [0, 1, 2]), (4, [0, 1, 2, 3])):
        assert np.flatnonzero(promoted(points, keep)).tolist() == kept
    assert promoted(points[:1], 1).all()


@pytest.mark.parametrize("extreme", [1.7e308, 5e-324])
def test_extreme_values_do_no_harm(extreme):
    pairs = itertools.product((extreme, -extreme, 0.0), repeat=2)
    assert promoted(np.array(list(pairs)), 4).sum() == 4


def test_ten_thousand_points():
    rng = np.random.default_rng(0)
    directions = np.abs(rng.normal(size=(5000, 3)))
    sphere = directions / np.linalg.norm(directions, axis=1)[:, None]
    # Two shells, of which none of a shell dominates another of it.
    losses = np.concatenate([sphere, sphere + 1e-3])
    kept = promoted(losses, 7000)
    assert kept[:5000].all()
    assert kept.sum() == 7000
