from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal

from allocsearch.models.likelihoods.gaussian import MIN_LOG_VAR, Gaussian


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(6,), (3, 1, 2)])
def test_log_prob_equals_that_of_torch_distributions(shape):
    mean, log_var, x = normal(3, 5, 6), normal(3, 5, 6, seed=1), normal(5, 6, seed=2)
    expected = Normal(mean, (log_var / 2).exp()).log_prob(x).sum(-1)
    found = Gaussian(shape).log_prob(torch.cat((mean, log_var), -1), x)
    assert found.shape == (3, 5)
    torch.testing.assert_close(found, expected)


def test_the_density_integrates_to_one():
    x = torch.linspace(-40, 40, 8001, dtype=torch.float64)[:, None]
    parameters = torch.tensor([0.7, 1.1], dtype=torch.float64)
    density = Gaussian((1,)).log_prob(parameters, x).exp()
    assert float(torch.trapezoid(density, x[:, 0])) == pytest.approx(1, abs=1e-9)


def test_a_constant_feature_has_no_infinite_density():
    x = torch.zeros(1, 1)
    found = Gaussian((1,)).log_prob(torch.tensor([[0.0, -1e4]]), x)
    assert found.item() == pytest.approx(math.log(1 / (0.01 * math.sqrt(2 * math.pi))))
    assert pytest.approx(0.01) == math.exp(MIN_LOG_VAR / 2)


@pytest.mark.parametrize("mean", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("log_var", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("value", [-100.0, 0.0, 100.0])
def test_extremes_are_finite_with_finite_gradients(mean, log_var, value):
    parameters = torch.tensor([[mean, log_var]], requires_grad=True)
    found = Gaussian((1,)).log_prob(parameters, torch.tensor([[value]]))
    (gradient,) = torch.autograd.grad(found.sum(), parameters)
    assert found.isfinite().all()
    assert gradient.isfinite().all()


def test_values_stay_as_they_are():
    values = normal(4, 3, 2, 2).float()
    likelihood = Gaussian((3, 2, 2))
    x = likelihood.prepare(values, generator())
    assert torch.equal(x, values.flatten(1))
    assert torch.equal(likelihood.encode(x), x)
    assert (likelihood.inputs, likelihood.outputs, likelihood.features) == (3, 6, 12)


def test_the_marginal_model_has_the_moments_of_each_feature():
    values = (2 * normal(40, 5) + 1).float()
    values[:, 2] = 0.25
    parameters = Gaussian((5,)).marginal_parameters(values)
    ends = torch.tensor([[1.0], [-1.0]]).expand(2, 5)
    # Half an example at either end weighs as two whole ones do among twice as many.
    more = torch.cat((values, values, ends)).double()
    expected = torch.cat((more.mean(0), more.var(0, unbiased=False).log()))
    torch.testing.assert_close(parameters.double(), expected)
    assert parameters.shape == (10,)
