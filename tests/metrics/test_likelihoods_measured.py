"""Models of every likelihood, trained and measured."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, TrainingSection
from allocsearch.data.dataset import Dataset
from allocsearch.data.splits import SearchData
from allocsearch.metrics.evaluation import Settings, measure
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.training.loop import train

SETTINGS = Settings(score="auto", samples=2, score_samples=4, batch_size=32, seed=0)
TRAINING = {"batch_size": 32, "learning_rate": 0.003, "free_nats": 0.0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def measured(values: Tensor, held_out: Tensor, epochs: int, **model: object) -> dict[str, float]:
    """The metrics of a trained model of 4-2 dims, and `marginal`, nats of the marginal model."""
    section = ModelSection.model_validate({"hidden": 32, "depth": 1, **model})
    hvae = build_model(Allocation((4, 2)), tuple(values.shape[1:]), section, 0)
    train(hvae, values, TrainingSection.model_validate({"epochs": epochs, **TRAINING}), 0)
    data = SearchData(Dataset("train", values), Dataset("held_out", held_out), ())
    return {**measure(hvae, data, SETTINGS).metrics, "marginal": marginal(hvae, values, held_out)}


def marginal(model: HVAE, values: Tensor, held_out: Tensor) -> float:
    parameters = model.likelihood.marginal_parameters(values)
    x = model.likelihood.prepare(held_out, seeded())
    return -float(model.likelihood.log_prob(parameters, x).mean())


def gradients(n: int, seed: int) -> Tensor:
    """Colour images of random hue that brighten in a random direction, with some noise."""
    source = seeded(seed)
    hue = torch.rand(n, 3, 1, 1, generator=source) * 200
    direction = torch.rand(n, 1, 2, generator=source) - 0.5
    ramps = torch.linspace(-1, 1, 32)
    slope = direction[..., :1, None] * ramps[:, None] + direction[..., 1:, None] * ramps
    noise = 4 * torch.randn(n, 3, 32, 32, generator=source)
    return (hue + 28 + 100 * slope + noise).clamp(0, 255).byte()


def test_colour_images_take_less_than_8_bits_and_less_than_the_marginal_model():
    values, held_out = gradients(160, 0), gradients(48, 1)
    found = measured(values, held_out, 10, likelihood="logistic_mixture", mixtures=2)
    features = 3 * 32 * 32
    assert found["bits_per_dim"] == pytest.approx(-found["elbo"] / features / math.log(2))
    assert found["bits_per_dim"] < found["marginal"] / features / math.log(2) < 8
    assert found["explained_skip_0"] == pytest.approx(
        1 - found["distortion"] / found["marginal"], rel=1e-4
    )


def test_noise_takes_its_entropy_of_8_bits_and_no_less():
    noise = torch.randint(256, (192, 3, 32, 32), generator=seeded(), dtype=torch.uint8)
    found = measured(noise[:128], noise[128:], 6, likelihood="logistic_mixture", mixtures=2)
    assert 8 - 0.01 < found["bits_per_dim"] < 9


def words(n: int, seed: int) -> Tensor:
    """A first letter of 5, and 11 more that follow from it and a step, save one in ten."""
    source = seeded(seed)
    first = torch.randint(5, (n, 1), generator=source)
    step = torch.randint(1, 3, (n, 1), generator=source)
    letters = (first + step * torch.arange(12)) % 5
    other = torch.randint(5, (n, 12), generator=source)
    return torch.where(torch.rand(n, 12, generator=source) < 0.1, other, letters).byte()


def test_tokens_take_less_than_with_the_marginal_model():
    model = {"likelihood": "categorical", "levels": 5, "one_hot": True}
    found = measured(words(400, 0), words(100, 1), 40, **model)
    # Letters alone are uniform; ten words that are right in nine letters of ten take far less.
    assert found["marginal"] == pytest.approx(12 * math.log(5), rel=0.02)
    assert -found["elbo"] < 0.7 * found["marginal"]
    least = math.log(10) / 12 / math.log(2)
    assert least < found["bits_per_dim"] < 0.7 * math.log2(5)


def test_features_with_a_common_cause_take_less_than_with_the_marginal_model():
    source = seeded()
    mixing = torch.randn(2, 8, generator=source)
    covariance = mixing.T @ mixing + 0.09 * torch.eye(8)
    scale = covariance.diagonal().sqrt()
    truth = MultivariateNormal(torch.zeros(8), covariance / torch.outer(scale, scale))
    cause, noise = torch.randn(700, 2, generator=source), torch.randn(700, 8, generator=source)
    values = (cause @ mixing + 0.3 * noise) / scale
    found = measured(values[:500], values[500:], 30, likelihood="gaussian")
    least = -float(truth.log_prob(values[500:]).mean())
    # No model describes the data in less than the truth does.
    assert least < -found["elbo"] < found["marginal"] - 2
    assert found["bits_per_dim"] == pytest.approx(-found["elbo"] / 8 / math.log(2))
