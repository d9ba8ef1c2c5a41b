"""Means of likelihoods, by their own probabilities of every value."""

from __future__ import annotations

import pytest
import torch

from allocsearch.config import ModelSection
from allocsearch.models.likelihoods import build_likelihood
from allocsearch.models.likelihoods.likelihood import Likelihood

BYTES = torch.arange(256, dtype=torch.uint8)[:, None]


def parameters_of(likelihood: Likelihood, seed: int = 0) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(likelihood.outputs, generator=source, dtype=torch.float64)


@pytest.mark.parametrize("levels", [2, 7, 256])
def test_a_mean_level_is_the_sum_over_all_levels(levels: int) -> None:
    section = ModelSection(likelihood="categorical", levels=levels)
    likelihood = build_likelihood((1,), section)
    parameters = parameters_of(likelihood)
    x = torch.arange(levels)[:, None].double()
    probabilities = likelihood.log_prob(parameters, x).exp()
    shown = x[:, 0] * 255 / (levels - 1)
    torch.testing.assert_close(likelihood.mean(parameters)[0], (probabilities * shown).sum())


def test_a_binary_mean_is_the_probability_of_one() -> None:
    likelihood = build_likelihood((1,), ModelSection())
    parameters = parameters_of(likelihood)
    one = likelihood.log_prob(parameters, torch.ones(1, 1).double()).exp()
    torch.testing.assert_close(likelihood.mean(parameters), 255 * one)


def test_a_grey_mean_is_the_sum_over_all_values() -> None:
    likelihood = build_likelihood((1,), ModelSection(likelihood="logistic_mixture", mixtures=3))
    parameters = parameters_of(likelihood)
    # Narrow components in the middle of the range, whose tails do not reach its ends.
    parameters[3:6] *= 0.2
    parameters[6:] -= 4
    x = likelihood.prepare(BYTES, torch.Generator()).double()
    probabilities = likelihood.log_prob(parameters, x).exp()
    expected = (probabilities * BYTES[:, 0]).sum()
    torch.testing.assert_close(likelihood.mean(parameters)[0], expected, rtol=0, atol=0.05)


def test_a_mean_beyond_the_range_is_its_end() -> None:
    likelihood = build_likelihood((2,), ModelSection(likelihood="logistic_mixture", mixtures=1))
    parameters = torch.tensor([0.0, 0.0, -3.0, 3.0, -5.0, -5.0])
    assert likelihood.mean(parameters).tolist() == [0, 255]


def test_an_rgb_mean_is_the_sum_over_the_values_around_it() -> None:
    section = ModelSection(likelihood="logistic_mixture", mixtures=2)
    likelihood = build_likelihood((3, 1, 1), section)
    parameters = parameters_of(likelihood, 3)
    # Components that are narrow and near to each other, but differ in how channels depend.
    parameters[2:8] *= 0.03
    parameters[2:8] += torch.tensor([0.08, -0.06, 0.3]).repeat_interleave(2)
    parameters[8:14] = -5.0
    mean = likelihood.mean(parameters)
    ranges = [torch.arange(int(value) - 30, int(value) + 31) for value in mean]
    values = torch.cartesian_prod(*ranges).to(torch.uint8)
    x = likelihood.prepare(values[..., None, None], torch.Generator()).double()
    probabilities = likelihood.log_prob(parameters, x).exp()
    assert float(probabilities.sum()) > 0.9999
    expected = (probabilities[:, None] * values).sum(0)
    torch.testing.assert_close(mean, expected, rtol=0, atol=0.1)


def test_a_gaussian_mean_is_where_the_density_is_highest() -> None:
    likelihood = build_likelihood((3,), ModelSection(likelihood="gaussian"))
    parameters = parameters_of(likelihood)[:2].repeat_interleave(3)
    mean = likelihood.mean(parameters).requires_grad_()
    assert mean.shape == (3,)
    likelihood.log_prob(parameters, mean[None]).sum().backward()
    torch.testing.assert_close(mean.grad, torch.zeros(3).double())


@pytest.mark.parametrize("kind", ["bernoulli", "categorical", "gaussian", "logistic_mixture"])
def test_leading_dimensions_and_channels_keep_their_places(kind: str) -> None:
    likelihood = build_likelihood((3, 2, 2), ModelSection(likelihood=kind))
    source = torch.Generator().manual_seed(0)
    parameters = torch.randn(5, 2, likelihood.outputs * 4, generator=source)
    found = likelihood.mean(parameters)
    assert found.shape == (5, 2, likelihood.features)
    for i in range(5):
        torch.testing.assert_close(found[i, 1], likelihood.mean(parameters[i, 1]))
    # Values of one position are from the parameters of that position alone.
    only = parameters.unflatten(-1, (-1, 4)).clone()
    only[..., 1:] = 0
    again = likelihood.mean(only.flatten(-2)).unflatten(-1, (3, 4))
    torch.testing.assert_close(again[..., 0], found.unflatten(-1, (3, 4))[..., 0])


def test_tokens_have_no_mean() -> None:
    section = ModelSection(likelihood="categorical", levels=5, one_hot=True)
    likelihood = build_likelihood((4,), section)
    with pytest.raises(ValueError, match="no mean"):
        likelihood.mean(torch.zeros(20))
