from __future__ import annotations

import itertools

import pytest
import torch
from torch.distributions import Categorical as Reference

from allocsearch.models.likelihoods.categorical import Categorical


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("levels", [2, 5, 16, 255, 256])
def test_grey_values_are_spread_evenly_over_the_levels(levels):
    values = torch.arange(256, dtype=torch.uint8)[None]
    x = Categorical((256,), levels, one_hot=False).prepare(values, generator())
    assert x.dtype == torch.float32
    assert x[0].tolist() == [v * levels // 256 for v in range(256)]
    counts = torch.bincount(x[0].long())
    assert len(counts) == levels
    assert counts.max() - counts.min() <= 1
    encoded = Categorical((256,), levels, one_hot=False).encode(x)
    torch.testing.assert_close(encoded[0, [0, -1]], torch.tensor([-1.0, 1.0]))


def test_ids_of_tokens_stay_and_the_encoder_sees_indicators_channel_by_channel():
    likelihood = Categorical((3, 1, 2), 4, one_hot=True)
    values = torch.tensor([0, 1, 2, 3, 0, 3], dtype=torch.uint8).reshape(1, 3, 1, 2)
    x = likelihood.prepare(values, generator())
    assert x.tolist() == [[0, 1, 2, 3, 0, 3]]
    seen = likelihood.encode(x).reshape(3, 4, 2)
    assert likelihood.inputs * 2 == seen.numel()
    for channel, position in itertools.product(range(3), range(2)):
        indicator = [0.0] * 4
        indicator[values[0, channel, 0, position]] = 1
        assert seen[channel, :, position].tolist() == indicator


def test_log_prob_equals_that_of_torch_distributions():
    likelihood = Categorical((3, 2, 2), 5, one_hot=True)
    logits = torch.randn(2, 4, 3, 5, 4, generator=generator(), dtype=torch.float64)
    x = torch.randint(5, (4, 12), generator=generator(1)).double()
    reference = Reference(logits=logits.transpose(-1, -2))
    expected = reference.log_prob(x.reshape(4, 3, 4).expand(2, 4, 3, 4)).sum((-1, -2))
    found = likelihood.log_prob(logits.reshape(2, 4, 60), x)
    assert found.shape == (2, 4)
    torch.testing.assert_close(found, expected)
    # One set of parameters for all examples.
    torch.testing.assert_close(
        likelihood.log_prob(logits[0, 0].flatten(), x)[0],
        likelihood.log_prob(logits[0, :1].flatten(1), x[:1])[0],
    )


def test_probabilities_of_all_values_sum_to_one():
    likelihood = Categorical((3,), 4, one_hot=False)
    x = torch.tensor(list(itertools.product(range(4), repeat=3)), dtype=torch.float64)
    parameters = torch.randn(12, generator=generator(), dtype=torch.float64)
    total = likelihood.log_prob(parameters, x).exp().sum()
    torch.testing.assert_close(total, torch.ones((), dtype=torch.float64))


def test_extreme_logits_give_finite_values_and_gradients():
    likelihood = Categorical((2,), 3, one_hot=True)
    parameters = torch.tensor([[1e4, -1e4, 0, 0, -1e4, 1e4]]).requires_grad_()
    for x in torch.cartesian_prod(torch.arange(3.0), torch.arange(3.0)):
        found = likelihood.log_prob(parameters, x[None])
        (gradient,) = torch.autograd.grad(found.sum(), parameters)
        assert found.isfinite().all()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("shape", [(7,), (3, 2, 2)])
def test_the_marginal_model_has_the_smoothed_frequencies(shape):
    likelihood = Categorical(shape, 5, one_hot=False)
    values = torch.randint(200, (30, *shape), generator=generator(), dtype=torch.uint8)
    x = likelihood.prepare(values, generator())
    parameters = likelihood.marginal_parameters(values)
    for level in range(5):
        counts = (x == level).double().sum(0)
        expected = ((counts + 0.5) / (30 + 2.5)).log().sum()
        every = torch.full((1, x.shape[1]), float(level))
        found = likelihood.log_prob(parameters.double(), every.double())
        torch.testing.assert_close(found[0], expected)
