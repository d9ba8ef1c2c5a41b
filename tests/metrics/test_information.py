from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from sklearn.covariance import EmpiricalCovariance
from torch import Tensor

from allocsearch.metrics.information import (
    active_units,
    attenuation,
    conditional_entropy,
    gaussian_information,
    information_bracket,
    information_upper_bound,
    retention,
)


def channel(
    rho2: Tensor, n: int, samples: int = 1, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor, float]:
    """Components of a unit-variance Gaussian channel, and its information."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, len(rho2), generator=generator, dtype=torch.float64)
    mean = (rho2.sqrt() * x).expand(n, samples, -1)
    log_var = torch.log1p(-rho2).expand_as(mean)
    z = draw(mean, log_var, generator)
    return mean, log_var, z, float(-0.5 * torch.log1p(-rho2).sum())


def draw(mean: Tensor, log_var: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
    return mean + torch.exp(0.5 * log_var) * noise


def second_layer(z: Tensor, kappa: float, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    mean = math.sqrt(kappa) * z
    log_var = torch.full_like(z, math.log1p(-kappa))
    return mean, log_var, draw(mean, log_var, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rho2", [[0.9], [0.99, 0.5, 0.1], [0.05] * 20, [0.7] * 4 + [0.0] * 8])
def test_bracket_of_a_gaussian_channel_holds_the_closed_form(rho2):
    mean, log_var, z, truth = channel(torch.tensor(rho2, dtype=torch.float64), 4000)
    bracket = information_bracket(mean, log_var, z)
    assert bracket.upper == pytest.approx(truth, rel=0.03, abs=0.05)
    assert abs(bracket.upper - truth) < 4 * bracket.upper_se
    assert bracket.lower <= truth + 3 * bracket.lower_se
    assert bracket.lower > 0.9 * truth - 0.05
    assert not bracket.saturated


def test_second_layer_of_a_chain_lies_within_its_bracket():
    rho2 = torch.tensor([0.8, 0.6, 0.4], dtype=torch.float64)
    _, _, z, _ = channel(rho2, 3000, samples=16)
    bracket = information_bracket(*second_layer(z, 0.6))
    truth = float(-0.5 * torch.log1p(-0.6 * rho2).sum())
    assert bracket.lower - 3 * bracket.lower_se <= truth <= bracket.upper + 3 * bracket.upper_se
    assert bracket.lower > 0.9 * truth
    assert bracket.upper < truth + 0.3
    assert bracket.samples == 16


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    rho2=st.lists(st.floats(0, 0.95), min_size=1, max_size=4),
    kappa=st.floats(0.05, 0.9),
    samples=st.integers(2, 6),
    seed=st.integers(0, 1000),
)
def test_bounds_hold_for_any_chain(rho2, kappa, samples, seed):
    spectrum = torch.tensor(rho2, dtype=torch.float64)
    _, _, z, _ = channel(spectrum, 300, samples, seed)
    bracket = information_bracket(*second_layer(z, kappa, seed + 1))
    truth = float(-0.5 * torch.log1p(-kappa * spectrum).sum())
    # Four standard errors: many chains are drawn.
    assert bracket.lower - 4 * bracket.lower_se <= truth <= bracket.upper + 4 * bracket.upper_se
    assert 0 <= bracket.lower <= math.log(300)


def test_conditional_entropy_brackets_the_numerical_integral():
    # z given x is a balanced mixture of two Gaussians two standard deviations from its mean.
    def density(z: float) -> float:
        return sum(math.exp(-0.5 * (z - m) ** 2) for m in (-2, 2)) / math.sqrt(8 * math.pi)

    truth = quad(lambda z: -density(z) * math.log(density(z)), -12, 12, limit=200)[0]
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (4000, 8, 1), generator=generator).double() * 2 - 1
    log_var = torch.zeros_like(signs)
    mean = 2 * signs
    lower, upper = conditional_entropy(mean, log_var, draw(mean, log_var, generator))
    assert lower <= truth <= upper
    assert truth - lower < 0.15
    assert upper - truth < 0.4


def test_saturation_is_flagged_while_the_upper_bound_is_right():
    rho2 = torch.full((20,), -math.expm1(-3.0), dtype=torch.float64)
    mean, log_var, z, truth = channel(rho2, 5000)
    bracket = information_bracket(mean, log_var, z)
    assert truth == pytest.approx(30.0)
    assert bracket.saturated
    assert bracket.lower <= math.log(5000)
    assert bracket.upper == pytest.approx(30.0, rel=0.03)


def test_plug_in_matches_brute_force():
    generator = torch.Generator().manual_seed(3)
    mean = torch.randn(60, 1, 3, generator=generator, dtype=torch.float64)
    log_var = torch.randn(60, 1, 3, generator=generator, dtype=torch.float64) - 1
    z = draw(mean.expand(60, 40, 3), log_var.expand(60, 40, 3), generator)
    components = torch.distributions.Independent(
        torch.distributions.Normal(mean[:, 0], torch.exp(0.5 * log_var[:, 0])), 1
    )
    pairs = components.log_prob(z[:, :, None])
    own = pairs.diagonal(dim1=0, dim2=2).T
    expected = (own - torch.logsumexp(pairs, -1) + math.log(60)).mean()
    bracket = information_bracket(mean.expand(60, 40, 3), log_var.expand(60, 40, 3), z)
    assert bracket.lower == pytest.approx(float(expected), abs=0.03)


def test_collapsed_layer_holds_exactly_nothing():
    generator = torch.Generator().manual_seed(0)
    mean = torch.full((500, 4, 6), 0.3, dtype=torch.float64)
    log_var = torch.full_like(mean, 0.2)
    bracket = information_bracket(mean, log_var, draw(mean, log_var, generator))
    assert bracket.upper == pytest.approx(0, abs=1e-9)
    assert bracket.lower == pytest.approx(0, abs=1e-3)
    assert not bracket.saturated


def test_one_active_dim_among_collapsed_ones_counts_alone():
    rho2 = torch.zeros(40, dtype=torch.float64)
    rho2[7] = 0.9
    mean, log_var, z, truth = channel(rho2, 3000)
    full = information_bracket(mean, log_var, z)
    alone = information_bracket(*(t[..., 7:8] for t in (mean, log_var, z)))
    assert full.upper == pytest.approx(alone.upper, abs=0.02)
    assert full.upper == pytest.approx(truth, abs=0.05)
    assert full.lower == pytest.approx(truth, abs=0.05)


def test_a_duplicated_latent_is_two_looks_at_one_signal():
    generator = torch.Generator().manual_seed(0)
    signal = 3 * torch.randn(5000, 1, 1, generator=generator, dtype=torch.float64)
    mean = signal.expand(5000, 1, 2)
    log_var = torch.zeros_like(mean)
    bracket = information_bracket(mean, log_var, draw(mean, log_var, generator))
    truth = 0.5 * math.log(1 + 2 * 9)
    assert bracket.upper == pytest.approx(truth, abs=0.05)
    assert bracket.lower == pytest.approx(truth, abs=0.05)


def test_tiny_posterior_variances_stay_finite():
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(800, 1, 2, generator=generator, dtype=torch.float64)
    log_var = torch.full_like(mean, -30.0)
    bracket = information_bracket(mean, log_var, draw(mean, log_var, generator))
    assert bracket.upper == pytest.approx(30.0, rel=0.01)
    assert bracket.lower == pytest.approx(math.log(800), rel=1e-4)
    assert bracket.saturated


def test_as_few_examples_as_a_covariance_takes_give_a_right_value():
    rho2 = torch.full((30,), 0.9, dtype=torch.float64)
    uppers = [information_upper_bound(*channel(rho2, 45, seed=seed)[:3])[0] for seed in range(40)]
    truth = channel(rho2, 45)[3]
    assert sum(uppers) / len(uppers) == pytest.approx(truth, rel=0.03)


@pytest.mark.parametrize("samples", [1, 8])
def test_standard_error_of_the_upper_bound_is_that_of_repetitions(samples):
    rho2 = torch.tensor([0.8, 0.5], dtype=torch.float64)
    runs = []
    for seed in range(60):
        mean, log_var, z, _ = channel(rho2, 400, samples, seed)
        if samples > 1:
            mean, log_var, z = second_layer(z, 0.7, seed + 1000)
        runs.append(information_upper_bound(mean, log_var, z))
    values, errors = torch.tensor(runs, dtype=torch.float64).T
    assert float(errors.mean()) == pytest.approx(float(values.std()), rel=0.35)


def test_standard_error_of_the_lower_bound_is_that_of_repetitions():
    rho2 = torch.tensor([0.8, 0.5], dtype=torch.float64)
    runs = [information_bracket(*channel(rho2, 400, 1, seed)[:3]) for seed in range(60)]
    values = torch.tensor([run.lower for run in runs], dtype=torch.float64)
    errors = torch.tensor([run.lower_se for run in runs], dtype=torch.float64)
    assert float(errors.mean()) == pytest.approx(float(values.std()), rel=0.35)


def test_the_total_rate_caps_the_upper_bound():
    mean, log_var, z, truth = channel(torch.full((3,), 0.9, dtype=torch.float64), 1000)
    low, high = torch.full((1000,), 1.5), torch.full((1000,), 50.0)
    assert information_bracket(mean, log_var, z, low).upper == pytest.approx(1.5)
    assert information_bracket(mean, log_var, z, high).upper == pytest.approx(truth, abs=0.2)
    assert information_upper_bound(mean, log_var, z, low)[0] == pytest.approx(1.5)


def test_gaussian_information_is_the_log_determinant_of_another_library():
    mean, log_var, _, _ = channel(torch.tensor([0.9, 0.3], dtype=torch.float64), 20000)
    mean, log_var = mean[:, 0] @ torch.tensor([[1.0, 0.4], [0.0, 1.0]]).double(), log_var[:, 0]
    covariance = EmpiricalCovariance().fit(mean.numpy()).covariance_
    covariance = torch.from_numpy(covariance) + torch.diag(log_var[0].exp())
    gaussian = torch.distributions.MultivariateNormal(torch.zeros(2).double(), covariance)
    entropy = torch.tensor(0.7)
    found = gaussian_information(mean, log_var, entropy)
    assert float(found) == pytest.approx(float(gaussian.entropy() - 0.7), abs=1e-3)


def test_information_does_not_depend_on_units():
    mean, log_var, z, _ = channel(torch.tensor([0.9, 0.3], dtype=torch.float64), 1000, 4)
    mean, log_var, z = second_layer(z, 0.8)
    scale, shift = torch.tensor([1e4, 1e-3]).double(), torch.tensor([1e6, -2.0]).double()
    plain = information_bracket(mean, log_var, z)
    moved = information_bracket(mean * scale + shift, log_var + 2 * scale.log(), z * scale + shift)
    assert moved.upper == pytest.approx(plain.upper, abs=1e-3)
    assert moved.lower == pytest.approx(plain.lower, abs=1e-2)


@pytest.mark.parametrize(
    ("mean", "match"),
    [
        (torch.zeros(5, 2, 5), "more examples than dims"),
        (torch.zeros(5), "components are"),
        (torch.zeros(0, 1, 2), "components are"),
        (torch.full((9, 1, 2), torch.nan), "not finite"),
    ],
)
def test_bad_components_are_refused(mean, match):
    with pytest.raises(ValueError, match=match):
        information_bracket(mean, mean, mean)


def test_shapes_that_differ_are_refused():
    mean = torch.zeros(9, 1, 2)
    with pytest.raises(ValueError, match="differ in shape"):
        information_bracket(mean, mean, torch.zeros(9, 2, 2))
    with pytest.raises(ValueError, match="total rate"):
        information_bracket(mean, mean, mean, torch.zeros(8))


def test_active_units_counts_means_that_vary():
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(5000, 3, generator=generator) * torch.tensor([1.0, 0.05, 0.2])
    assert active_units(mean) == 2
    assert active_units(torch.zeros(10, 4)) == 0
    with pytest.raises(ValueError, match="posterior means"):
        active_units(torch.zeros(1, 4))


def test_retention_and_attenuation_follow_their_definitions():
    assert retention([9.0, 12.0, 3.0]) == 9.0
    assert attenuation([9.0, 12.0, 3.0]) == pytest.approx(0.75)
    assert attenuation([4.0]) == 0
    assert attenuation([0.0, 0.0]) == 1
    for function in (retention, attenuation):
        for wrong in ([], [1.0, -0.1], [math.nan, 1.0]):
            with pytest.raises(ValueError, match="information"):
                function(wrong)


@settings(max_examples=100, derandomize=True)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=6))
def test_attenuation_lies_in_the_unit_interval(information):
    assert 0 <= attenuation(information) <= 1
