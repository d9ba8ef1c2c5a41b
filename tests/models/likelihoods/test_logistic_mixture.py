from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, TransformedDistribution, Uniform
from torch.distributions.transforms import AffineTransform, SigmoidTransform

from allocsearch.config import InputError, ModelSection
from allocsearch.models.likelihoods import build_likelihood
from allocsearch.models.likelihoods.logistic_mixture import LogisticMixture


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def prepared(likelihood: LogisticMixture, values: torch.Tensor) -> torch.Tensor:
    return likelihood.prepare(values.byte(), generator()).double()


def logistic(mean: torch.Tensor, scale: torch.Tensor) -> TransformedDistribution:
    uniform = Uniform(torch.zeros_like(mean), torch.ones_like(mean), validate_args=False)
    transforms = [SigmoidTransform().inv, AffineTransform(mean, scale)]
    return TransformedDistribution(uniform, transforms, validate_args=False)


def bin_mass(mixture, value: torch.Tensor) -> torch.Tensor:
    """The probability of the bin of a value 0..255, by the mixture's own cdf."""
    upper = mixture.cdf((value + 0.5) / 127.5 - 1)
    lower = mixture.cdf((value - 0.5) / 127.5 - 1)
    upper = torch.where(value == 255, 1.0, upper)
    return upper - torch.where(value == 0, 0.0, lower)


def test_grey_agrees_with_the_cdf_of_a_mixture_of_torch_distributions():
    m, positions = 4, 6
    likelihood = LogisticMixture((positions,), m)
    logits, means, scales = normal(3, 5, m, positions), normal(3, 5, m, positions, seed=1), None
    log_scales = normal(3, 5, m, positions, seed=2) - 2
    scales = log_scales.exp()
    values = torch.tensor([0, 1, 17, 128, 254, 255]).expand(5, -1)
    mixture = MixtureSameFamily(
        Categorical(logits=logits.transpose(-1, -2)),
        logistic(means.transpose(-1, -2), scales.transpose(-1, -2)),
        validate_args=False,
    )
    expected = bin_mass(mixture, values.double()).log().sum(-1)
    parameters = torch.cat((logits, means, log_scales), -2).flatten(-2)
    found = likelihood.log_prob(parameters, prepared(likelihood, values))
    assert found.shape == (3, 5)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-5)


def test_the_probabilities_of_all_grey_values_sum_to_one():
    likelihood = LogisticMixture((1,), 10)
    x = prepared(likelihood, torch.arange(256)[:, None])
    for seed in range(5):
        # Scales from far below a bin to far beyond the range.
        parameters = 4 * normal(30, seed=seed)
        total = likelihood.log_prob(parameters, x).exp().sum()
        torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-5)


def rgb_parameters(seed: int, m: int) -> torch.Tensor:
    parameters = normal(10 * m, seed=seed)
    # Scales of about an eighth of the range, so that every value has some mass.
    parameters[4 * m : 7 * m] -= 1.5
    return parameters


def test_rgb_agrees_with_components_that_are_mixed_by_hand():
    m = 3
    likelihood = LogisticMixture((3, 1, 1), m)
    parameters = rgb_parameters(0, m)
    logits, *rest = parameters.reshape(10, m)
    values = torch.tensor([[12, 200, 255], [0, 90, 91], [130, 0, 3]])
    found = likelihood.log_prob(parameters, prepared(likelihood, values))
    for row, total in zip(values.double(), found, strict=True):
        r, g, _ = row / 127.5 - 1
        mean_r, mean_g, mean_b, *log_scales = rest[:6]
        g_of_r, b_of_r, b_of_g = (c.tanh() for c in rest[6:])
        means = mean_r, mean_g + g_of_r * r, mean_b + b_of_r * r + b_of_g * g
        masses = [
            bin_mass(logistic(mean, scale.exp()), value)
            for mean, scale, value in zip(means, log_scales, row, strict=True)
        ]
        expected = (logits.softmax(0) * torch.stack(masses).prod(0)).sum().log()
        torch.testing.assert_close(total, expected, rtol=1e-5, atol=1e-5)


def test_every_conditional_of_rgb_sums_to_one():
    likelihood = LogisticMixture((3, 1, 1), 5)
    every = torch.arange(256)
    for seed in range(3):
        parameters = rgb_parameters(seed, 5)
        # Summed over all greens and blues the joint is that of red alone, which is as if grey.
        reds = torch.tensor([0, 77, 255])
        grid = torch.cartesian_prod(reds, every, every)
        joint = likelihood.log_prob(parameters, prepared(likelihood, grid)).exp()
        marginal_r = joint.reshape(3, 256 * 256).sum(1)
        grey = LogisticMixture((1,), 5)
        red = torch.cat((parameters[:10], parameters[20:25]))
        expected = grey.log_prob(red, prepared(grey, reds[:, None])).exp()
        torch.testing.assert_close(marginal_r, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(1,), (3, 1, 1)])
@pytest.mark.parametrize("extreme", [-1e4, -20.0, 20.0, 1e4])
@pytest.mark.parametrize("block", ["logits", "means", "log_scales", "coefficients", "all"])
def test_extremes_are_finite_with_finite_gradients(shape, extreme, block):
    m = 2
    likelihood = LogisticMixture(shape, m)
    c = likelihood.channels
    ends = {"logits": (0, m), "means": (m, m * (1 + c)), "log_scales": (m + m * c, m + 2 * m * c)}
    parameters = torch.zeros(likelihood.outputs)
    start, end = ends.get(block, (m + 2 * m * c if block == "coefficients" else 0, None))
    parameters[start:end] = extreme
    parameters.requires_grad_()
    for value in (0, 1, 128, 254, 255):
        values = torch.full((1, *shape), value, dtype=torch.uint8)
        found = likelihood.log_prob(parameters, likelihood.prepare(values, generator()))
        (gradient,) = torch.autograd.grad(found.sum(), parameters)
        assert found.dtype == torch.float32
        assert found.isfinite().all()
        assert gradient.isfinite().all()


def test_a_far_narrow_bin_has_the_log_of_density_times_width():
    # In float32 the two sigmoids are equal here, and their difference has no logarithm.
    likelihood = LogisticMixture((1,), 1)
    log_scale, mean = -5.0, -0.9
    x = likelihood.prepare(torch.tensor([[200]], dtype=torch.uint8), generator())
    found = likelihood.log_prob(torch.tensor([0.0, mean, log_scale]), x)
    scale = math.exp(log_scale)
    z = (200 / 127.5 - 1 - mean) / scale
    # log(sigmoid(a) - sigmoid(b)) of a logistic so far in its tail: exp(-z) (e^h - e^-h).
    half = 1 / 255 / scale
    expected = -z + math.log(2 * math.sinh(half))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_values_are_scaled_to_minus_one_and_one():
    likelihood = LogisticMixture((3, 2, 2), 1)
    values = torch.arange(24, dtype=torch.uint8).reshape(2, 3, 2, 2) * 11
    x = likelihood.prepare(values, generator())
    assert x.shape == (2, 12)
    torch.testing.assert_close((x + 1) * 127.5, values.flatten(1).float())
    assert torch.equal(likelihood.encode(x), x)
    assert (likelihood.inputs, likelihood.outputs) == (3, 10)


@pytest.mark.parametrize("shape", [(5,), (3, 2, 2)])
def test_the_marginal_model_has_the_moments_of_each_feature(shape):
    likelihood = LogisticMixture(shape, 4)
    values = torch.randint(40, 200, (50, *shape), generator=generator(), dtype=torch.uint8)
    x = prepared(likelihood, values)
    parameters = likelihood.marginal_parameters(values)
    more = torch.cat((x, x))
    # Half an example at either end weighs as two whole ones do among twice as many.
    more = torch.cat((more, torch.ones_like(x[:1]), -torch.ones_like(x[:1])))
    mean, variance = more.mean(0), more.var(0, unbiased=False)
    means = mean.reshape(1, likelihood.channels, 1, -1)
    scales = (3 * variance).sqrt().reshape(means.shape) / math.pi
    pixels = values.double().reshape(50, likelihood.channels, 1, -1)
    expected = bin_mass(logistic(means, scales), pixels).log().flatten(1).sum(1)
    found = likelihood.log_prob(parameters.double(), x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


def test_a_constant_feature_has_a_finite_code_length_where_it_varies():
    likelihood = LogisticMixture((2,), 3)
    parameters = likelihood.marginal_parameters(torch.zeros(1000, 2, dtype=torch.uint8))
    x = likelihood.prepare(torch.tensor([[0, 0], [0, 255]], dtype=torch.uint8), generator())
    found = likelihood.log_prob(parameters, x)
    assert found.isfinite().all()
    assert found[0] > found[1]


def test_other_numbers_of_channels_are_refused():
    with pytest.raises(InputError) as error:
        build_likelihood((2, 4, 4), ModelSection(likelihood="logistic_mixture"))
    assert str(error.value) == (
        "model.likelihood: found 'logistic_mixture' for examples of shape (2, 4, 4); allowed: "
        "1 or 3 channels"
    )
