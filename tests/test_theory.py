from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.allocation import Allocation, Lattice
from allocsearch.theory import (
    GaussianChain,
    Measured,
    chain_from_data,
    covariance_eigenvalues,
    effective_directions,
    fit_chain,
    lattice_dims,
    optimal_allocation,
    predict,
    predicted_front,
    retention_and_attenuation,
    sample,
    scalarised,
)

SPECTRUM = tuple(20.0 / i**1.3 for i in range(1, 101))
CHAIN = GaussianChain(SPECTRUM, noise=0.4, kappa=0.85)
NARROW = GaussianChain(SPECTRUM, noise=0.4, kappa=0.85, directions=8.4, gamma=0.6)

eigenvalues = st.lists(st.floats(0.01, 100), min_size=1, max_size=12).map(
    lambda values: tuple(sorted(values, reverse=True))
)
chains = st.builds(
    GaussianChain,
    eigenvalues,
    noise=st.floats(0.01, 10),
    kappa=st.floats(0.05, 0.95),
    directions=st.floats(0.5, 20) | st.just(math.inf),
    gamma=st.floats(0, 3),
)


def by_hand(chain: GaussianChain, dims: tuple[int, ...]) -> list[float]:
    information = []
    kept = len(chain.eigenvalues)
    for layer, d in enumerate(dims):
        kept = min(kept, d)
        gain = chain.kappa**layer
        if 0 < layer == len(dims) - 1 and d > chain.directions:
            gain *= (chain.directions / d) ** chain.gamma
        total = 0.0
        for value in chain.eigenvalues[:kept]:
            rho2 = value / (value + chain.noise) * gain
            total -= 0.5 * math.log(1 - rho2)
        information.append(total)
    return information


@settings(max_examples=100, derandomize=True)
@given(chains, st.lists(st.integers(1, 15), min_size=1, max_size=5))
def test_information_is_the_sum_over_kept_directions(chain, dims):
    found = chain.information(np.array(dims))
    assert found == pytest.approx(by_hand(chain, tuple(dims)), rel=1e-9, abs=1e-12)


@settings(max_examples=100, derandomize=True)
@given(chains, st.lists(st.integers(1, 15), min_size=2, max_size=5))
def test_no_layer_holds_more_than_the_one_below(chain, dims):
    information = chain.information(np.array(dims))
    assert (np.diff(information) <= 1e-12).all()
    retention, attenuation = retention_and_attenuation(information)
    assert retention == information[0]
    assert 0 <= attenuation <= 1


@pytest.mark.parametrize("dims", [(4, 6, 2), (4, 2, 6)])
def test_information_of_a_sampled_chain_is_that_of_its_joint_covariance(dims):
    allocation = Allocation(dims)
    chain = GaussianChain((5.0, 2.0, 1.0), noise=0.5, kappa=0.8, directions=3.0, gamma=0.7)
    drawn = sample(chain, allocation, n=200_000, samples=1, seed=0)
    for layer, truth in zip(drawn.layers, chain.information(allocation.dims), strict=True):
        joint = np.corrcoef(np.hstack((drawn.x, layer.z[:, 0])), rowvar=False)
        p = drawn.x.shape[1]
        logs = [np.linalg.slogdet(part)[1] for part in (joint[:p, :p], joint[p:, p:], joint)]
        assert 0.5 * (logs[0] + logs[1] - logs[2]) == pytest.approx(truth, abs=0.01)


def test_draws_follow_the_parameters_they_come_with():
    drawn = sample(CHAIN, Allocation((8, 120, 3)), n=500, samples=40, seed=1)
    for layer, d in zip(drawn.layers, (8, 120, 3), strict=True):
        assert layer.z.shape == layer.mean.shape == layer.log_var.shape == (500, 40, d)
        standard = (layer.z - layer.mean) * np.exp(-0.5 * layer.log_var)
        assert standard.mean((0, 1)) == pytest.approx(0, abs=0.05)
        assert standard.var((0, 1)) == pytest.approx(1, abs=0.06)
    first = drawn.layers[0]
    assert (first.mean == first.mean[:, :1]).all()
    top = drawn.layers[1]
    assert np.ptp(top.mean[..., 8:]) == 0
    assert drawn.x.var(0)[:5] == pytest.approx(SPECTRUM[:5], rel=0.3)


@settings(max_examples=60, derandomize=True)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 14), st.booleans())
def test_lattice_dims_are_those_of_the_lattice(layers, step, min_dim, extra, capped):
    floor = -(-min_dim // step) * step
    budget = floor * layers + extra * step
    caps = tuple(floor + (extra * step + i) for i in range(layers)) if capped else None
    lattice = Lattice(budget, layers, step, min_dim, caps)
    expected = [allocation.dims for allocation in lattice]
    assert lattice_dims(lattice).tolist() == [list(dims) for dims in expected]


@pytest.mark.parametrize(
    "lattice",
    [
        Lattice(12, 3, max_dim=(3, 9, 4)),
        Lattice(600, 3, step=(196, 1, 1)),
        Lattice(60, 3, step=(1, 1, 14), min_dim=2),
        Lattice(90, 4, step=(12, 5, 4, 6), max_dim=(36, 90, 20, 90)),
        Lattice(12, 1, step=(4,)),
    ],
    ids=str,
)
def test_lattice_dims_respect_caps_and_the_step_of_each_layer(lattice):
    assert lattice_dims(lattice).tolist() == [list(a.dims) for a in lattice]


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0, 2.5])
@pytest.mark.parametrize(
    ("budget", "layers"), [(7, 2), (40, 2), (23, 3), (40, 3), (16, 4), (40, 4)]
)
@pytest.mark.parametrize("chain", [CHAIN, NARROW], ids=["uniform", "wide_top"])
def test_optimum_equals_exhaustive_search(chain, budget, layers, weight):
    def value(dims: tuple[int, ...]) -> float:
        information = by_hand(chain, dims)
        return information[0] * (information[-1] / max(information)) ** weight

    every = [
        (*head, budget - sum(head))
        for head in product(range(1, budget), repeat=layers - 1)
        if sum(head) < budget
    ]
    values = [value(dims) for dims in every]
    found = optimal_allocation(chain, Lattice(budget, layers), weight)
    assert found.budget == budget
    best = value(found.dims)
    assert best >= max(values) * (1 - 1e-12)
    assert best == pytest.approx(
        scalarised(predict(chain, np.array(found.dims)), weight)[0], rel=1e-12
    )


@settings(max_examples=15, derandomize=True, deadline=None)
@given(chains, st.integers(4, 14), st.integers(2, 4))
def test_front_is_the_set_no_allocation_dominates(chain, budget, layers):
    points = {}
    for allocation in Lattice(budget, layers):
        information = by_hand(chain, allocation.dims)
        attenuation = 1 - information[-1] / information[0]
        points[allocation] = (round(information[0], 8), round(attenuation, 8))
    best = {
        point
        for point in points.values()
        if not any(
            other != point and other[0] >= point[0] and other[1] <= point[1]
            for other in points.values()
        )
    }
    front = predicted_front(chain, Lattice(budget, layers))
    found = [points[allocation] for allocation in front]
    assert set(found) == best
    assert len(found) == len(best)
    assert found == sorted(found, reverse=True)


def test_retention_falls_along_the_ratio_and_attenuation_is_least_when_balanced():
    # A multiple of L, so that the balanced allocation is exactly uniform.
    lattice = Lattice(90, 3)
    ratios = np.geomspace(0.1, 10, 41)
    dims = np.array([Allocation.from_ratio(float(r), lattice).dims for r in ratios])
    prediction = predict(CHAIN, dims)
    assert (np.diff(prediction.retention) <= 1e-12).all()
    balanced = 20
    assert ratios[balanced] == pytest.approx(1)
    assert (np.diff(prediction.attenuation[: balanced + 1]) <= 1e-12).all()
    assert (np.diff(prediction.attenuation[balanced:]) >= -1e-12).all()


@settings(max_examples=60, derandomize=True)
@given(chains.filter(lambda chain: chain.gamma >= 1), st.integers(2, 4))
def test_a_top_layer_beyond_the_directions_of_the_signal_only_loses(chain, layers):
    below = (len(chain.eigenvalues) + 30,) * (layers - 1)
    most = [chain.information((*below, top))[-1] for top in range(1, 30)]
    for top, (narrow, wide) in enumerate(pairwise(most), 1):
        assert wide >= narrow if top + 1 <= chain.directions else True
        assert wide <= narrow + 1e-12 if top >= chain.directions else True


def test_attenuation_is_least_where_the_top_has_the_directions_of_the_signal():
    chain = replace(NARROW, gamma=1.0)
    lattice = Lattice(90, 3)
    tops = {
        bottom: min(
            (a for a in lattice if a.dims[0] == bottom),
            key=lambda a: predict(chain, [a.dims]).attenuation[0],
        ).dims[-1]
        for bottom in (10, 30, 60)
    }
    assert set(tops.values()) <= {8, 9}


def test_a_wide_top_behind_a_narrow_layer_empties():
    wide, narrow = predict(NARROW, [(30, 10, 48), (40, 40, 8)]).attenuation
    assert wide > narrow + 0.1
    wide, narrow = predict(CHAIN, [(30, 10, 48), (40, 40, 8)]).attenuation
    assert wide < narrow


def test_the_weight_moves_the_optimum_from_bottom_heavy_to_uniform():
    lattice = Lattice(88, 3)
    ratios = [optimal_allocation(CHAIN, lattice, weight).ratio for weight in (0, 0.5, 0.8, 1)]
    assert ratios == sorted(ratios)
    assert optimal_allocation(CHAIN, lattice, 0).dims == (86, 1, 1)
    assert optimal_allocation(CHAIN, lattice, 1).dims == (30, 29, 29)
    interior = optimal_allocation(CHAIN, lattice)
    assert 29 < interior.dims[0] < 86


def test_fit_recovers_the_chain_that_made_the_measurements():
    measured = []
    for dims in [(64, 18, 6), (8, 72, 8), (29, 30, 29)]:
        retention, attenuation = retention_and_attenuation(NARROW.information(dims))
        measured.append(Measured(Allocation(dims), float(retention), float(attenuation)))
    fitted = fit_chain(SPECTRUM, measured, NARROW.directions)
    assert fitted.noise == pytest.approx(NARROW.noise, rel=1e-4)
    assert fitted.kappa == pytest.approx(NARROW.kappa, rel=1e-4)
    assert fitted.gamma == pytest.approx(NARROW.gamma, rel=1e-3)
    assert fitted.directions == NARROW.directions


def test_a_fit_to_narrow_tops_leaves_gamma_alone():
    measured = [
        Measured(
            Allocation(dims), *map(float, retention_and_attenuation(NARROW.information(dims)))
        )
        for dims in [(64, 18, 6), (80, 4, 4)]
    ]
    fitted = fit_chain(SPECTRUM, measured, NARROW.directions)
    assert fitted.kappa == pytest.approx(NARROW.kappa, rel=1e-4)
    assert fitted.gamma == 1.0
    assert fit_chain(SPECTRUM, measured).directions == effective_directions(SPECTRUM)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_fit_does_not_depend_on_the_units_of_the_data(scale):
    measured = [Measured(Allocation((64, 18, 6)), 15.2, 0.67)]
    spectrum = tuple(value * scale for value in SPECTRUM)
    fitted = fit_chain(spectrum, measured)
    retention, attenuation = retention_and_attenuation(fitted.information((64, 18, 6)))
    assert float(retention) == pytest.approx(15.2, rel=1e-3)
    assert float(attenuation) == pytest.approx(0.67, abs=1e-3)


def test_chain_from_data_takes_its_noise_from_the_pixels():
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((4000, 2)) @ np.array([[0.1, 0.1, 0, 0], [0, 0, 0.05, -0.05]])
    data = np.clip(0.5 + signal, 0, 1)
    chain = chain_from_data(data, budget=2)
    expected = np.linalg.svd(np.cov(data, rowvar=False), compute_uv=False)
    assert chain.eigenvalues == pytest.approx(expected, abs=1e-12)
    rest = expected[2:].mean()
    assert chain.noise == pytest.approx(float((data * (1 - data)).mean() + rest), rel=1e-9)
    kept = (expected * expected / (expected + chain.noise)).sum() / expected.sum()
    assert chain.kappa == pytest.approx(kept)
    assert chain.directions == pytest.approx(expected.sum() ** 2 / (expected**2).sum())
    assert chain.gamma == 1.0


def test_covariance_eigenvalues_of_one_column():
    assert covariance_eigenvalues([[0.0], [1.0]]) == pytest.approx((0.5,))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (((), 1.0, 0.5), "eigenvalues are"),
        (((1.0, 2.0), 1.0, 0.5), "falling order"),
        (((math.nan,), 1.0, 0.5), "eigenvalues are"),
        (((1.0,), 0.0, 0.5), "noise variance"),
        (((1.0,), 1.0, 1.0), "kappa"),
        (((1.0,), 1.0, 0.5, 0.0), "directions"),
        (((1.0,), 1.0, 0.5, math.nan), "directions"),
        (((1.0,), 1.0, 0.5, 2.0, -0.1), "gamma"),
        (((1.0,), 1.0, 0.5, 2.0, math.inf), "gamma"),
    ],
)
def test_impossible_chains_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        GaussianChain(*arguments)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="1 or more"):
        CHAIN.information([[3, 0]])
    with pytest.raises(ValueError, match="integers"):
        CHAIN.information([[3.0, 1.0]])
    with pytest.raises(ValueError, match="weight"):
        optimal_allocation(CHAIN, Lattice(8, 2), -1.0)
    with pytest.raises(ValueError, match="2 layers"):
        fit_chain(SPECTRUM, [Measured(Allocation((5,)), 3.0, 0.0)])
    with pytest.raises(ValueError, match="attenuation"):
        fit_chain(SPECTRUM, [Measured(Allocation((5, 2)), 3.0, 1.5)])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        chain_from_data([[0.0, 2.0], [1.0, 0.0]], 2)
    with pytest.raises(ValueError, match="constant"):
        chain_from_data(np.full((9, 3), 0.5), 2)
    with pytest.raises(ValueError, match="constant"):
        chain_from_data(np.full((9, 3), 7 / 255), 2)
    with pytest.raises(ValueError, match="binary"):
        chain_from_data([[0.0, 1.0], [1.0, 0.0]], 2)
    with pytest.raises(ValueError, match="n and samples"):
        sample(CHAIN, Allocation((2,)), 0, 1, seed=0)
