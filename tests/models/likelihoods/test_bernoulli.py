from __future__ import annotations

import itertools

import pytest
import torch
from scipy import stats

from allocsearch.models.likelihoods.bernoulli import Bernoulli


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_binarisation_is_one_with_probability_value_over_255() -> None:
    n = 4_000
    values = torch.arange(256, dtype=torch.uint8).expand(n, 256)
    x = Bernoulli((256,)).prepare(values, generator())
    assert x.dtype == torch.float32
    assert set(x.unique().tolist()) == {0.0, 1.0}
    ones = x.sum(0)
    assert ones[0] == 0
    assert ones[255] == n
    p = torch.arange(1, 255) / 255
    z = (ones[1:255] - n * p) / (n * p * (1 - p)).sqrt()
    assert stats.chi2.sf(float(z.square().sum()), 254) > 0.001
    assert z.abs().max() < 5


@pytest.mark.parametrize(("value", "always"), [(0, 0.0), (255, 1.0)])
def test_the_end_values_are_never_binarised_otherwise(value: int, always: float) -> None:
    # Each of the 2^16 words of noise is met about 150 times.
    values = torch.full((100, 100_003), value, dtype=torch.uint8)
    x = Bernoulli((100_003,)).prepare(values, generator())
    assert x.min() == x.max() == always


def test_features_of_a_draw_are_independent() -> None:
    # Four features share a word of 64 random bits.
    values = torch.full((50_000, 8), 77, dtype=torch.uint8)
    x = Bernoulli((8,)).prepare(values, generator())
    correlation = torch.corrcoef(x.T) - torch.eye(8)
    assert correlation.abs().max() < 5 / 50_000**0.5


def test_any_number_of_features_is_binarised() -> None:
    for features in range(1, 10):
        values = torch.full((3, features), 255, dtype=torch.uint8)
        assert torch.equal(Bernoulli((features,)).prepare(values, generator()), values / 255)


def test_binarisation_is_flat_seeded_and_leaves_the_stored_values() -> None:
    values = torch.randint(0, 256, (3, 4, 5), generator=generator(), dtype=torch.uint8)
    before = values.clone()
    first = Bernoulli((4, 5)).prepare(values, generator(1))
    assert first.shape == (3, 20)
    assert torch.equal(first, Bernoulli((4, 5)).prepare(values, generator(1)))
    assert not torch.equal(first, Bernoulli((4, 5)).prepare(values, generator(2)))
    assert torch.equal(values, before)


def test_two_uses_of_one_generator_binarise_anew() -> None:
    values = torch.full((8, 64), 128, dtype=torch.uint8)
    source = generator()
    first, second = (Bernoulli((64,)).prepare(values, source) for _ in range(2))
    assert not torch.equal(first, second)


def test_bernoulli_log_prob_equals_that_of_torch_distributions() -> None:
    logits = 4 * torch.randn(3, 5, 7, generator=generator(), dtype=torch.float64)
    x = torch.randint(0, 2, (5, 7), generator=generator(1)).double()
    expected = torch.distributions.Bernoulli(logits=logits).log_prob(x.expand(3, 5, 7)).sum(-1)
    found = Bernoulli((7,)).log_prob(logits, x)
    assert found.shape == (3, 5)
    torch.testing.assert_close(found, expected)


def test_probabilities_of_all_values_sum_to_one() -> None:
    likelihood = Bernoulli((6,))
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6)), dtype=torch.float64)
    parameters = torch.randn(6, generator=generator())
    total = likelihood.log_prob(parameters.double().expand(len(x), -1), x).exp().sum()
    torch.testing.assert_close(total, torch.ones((), dtype=torch.float64))


def test_log_prob_is_right_at_extreme_logits() -> None:
    logits = torch.tensor([[-1e4], [-1e4], [1e4], [1e4]])
    x = torch.tensor([[0.0], [1.0], [0.0], [1.0]])
    assert Bernoulli((1,)).log_prob(logits, x).tolist() == [0.0, -1e4, -1e4, 0.0]
