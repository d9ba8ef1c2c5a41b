from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.data.dataset import Dataset
from allocsearch.data.splits import SearchData
from allocsearch.metrics.evaluation import Measurement, Settings, measure
from allocsearch.metrics.finite import NotFiniteError
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE

SETTINGS = Settings(score="auto", samples=16, score_samples=2, batch_size=100, seed=0)


def search_data(values: Tensor, train: Tensor | None = None) -> SearchData:
    validation = Dataset("validation", values)
    return SearchData(Dataset("train", values if train is None else train), validation, ())


def coin_flips(n: int, features: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 255 * torch.randint(0, 2, (n, features), generator=generator).to(torch.uint8)


def linear_model(features: int, dims: tuple[int, int], noise: tuple[float, float]) -> HVAE:
    """Without skips and with stages that pass on what they get: z_l is linear in z_{l-1}."""
    section = ModelSection(hidden=features, skip=False)
    model = build_model(Allocation(dims), (features,), section, seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    below = features
    for layer, (d, variance) in enumerate(zip(dims, noise, strict=True)):
        head = nn.Linear(below, 2 * d)
        with torch.no_grad():
            weight = torch.randn(d, below, generator=generator) / math.sqrt(below)
            head.weight[:d], head.weight[d:] = weight, 0.0
            head.bias[:d], head.bias[d:] = 0.0, math.log(variance)
        model.encoder[layer], model.posteriors[layer] = nn.Identity(), head
        below = d
    return model


def linear_information(model: HVAE, noise: tuple[float, float]) -> list[float]:
    signal, within = (
        0.25 * np.eye(model.likelihood.features),
        np.zeros((model.likelihood.features,) * 2),
    )
    information = []
    for head, variance in zip(model.posteriors, noise, strict=True):
        weight = head.weight[: len(head.weight) // 2].detach().double().numpy()
        signal = weight @ signal @ weight.T
        within = weight @ within @ weight.T + variance * np.eye(len(weight))
        log_dets = [np.linalg.slogdet(part)[1] for part in (signal + within, within)]
        information.append(0.5 * (log_dets[0] - log_dets[1]))
    return information


@pytest.fixture(scope="module")
def linear() -> tuple[HVAE, list[float], Measurement]:
    noise = (0.05, 0.01)
    model = linear_model(300, (12, 12), noise)
    truths = linear_information(model, noise)
    return model, truths, measure(model, search_data(coin_flips(1200, 300)), SETTINGS)


def test_information_of_a_linear_encoder_is_its_closed_form(linear):
    _, truths, measurement = linear
    for layer, truth in enumerate(truths, 1):
        upper = measurement.metrics[f"information_{layer}"]
        error = measurement.metrics[f"information_se_{layer}"]
        assert upper == pytest.approx(truth, rel=0.03)
        assert measurement.metrics[f"information_lower_{layer}"] <= truth + 3 * error <= upper + 1
    retention, attenuation = (measurement.metrics[k] for k in ("retention", "attenuation"))
    assert retention == measurement.metrics["information_1"]
    assert attenuation == pytest.approx(1 - truths[1] / truths[0], abs=0.03)
    assert measurement.broken_invariants == ()


def test_draws_alone_would_miss_the_noise_that_layer_1_passes_on(linear, monkeypatch):
    model, truths, _ = linear
    flips = search_data(coin_flips(1200, 300))
    monkeypatch.setattr(
        "allocsearch.metrics.brackets.reverse_log_density", lambda *args, **kwargs: None
    )
    loose = measure(model, flips, SETTINGS).metrics["information_2"]
    assert loose > truths[1] + 1


def top_down_model(features: int, dims: tuple[int, int]) -> tuple[HVAE, list[float]]:
    """A linear ladder, with the information of its layers: z_1 is drawn given x and z_2."""
    model = build_model(
        Allocation(dims), (features,), ModelSection(inference="top_down", skip=False), seed=0
    ).eval()
    generator = torch.Generator().manual_seed(1)
    variances, prior_variance, weights = (0.05, 0.02), 0.1, []
    for layer, (d, variance) in enumerate(zip(dims, variances, strict=True)):
        head = nn.Linear(features, 2 * d)
        weights.append(torch.randn(d, features, generator=generator) / math.sqrt(features))
        with torch.no_grad():
            head.weight[:d], head.weight[d:] = weights[-1], 0.0
            head.bias[:d], head.bias[d:] = 0.0, math.log(variance)
        model.encoder[layer], model.posteriors[layer] = nn.Identity(), head
    prior = nn.Linear(dims[1], 2 * dims[0])
    passed = torch.randn(dims[0], dims[1], generator=generator) / math.sqrt(dims[1])
    with torch.no_grad():
        prior.weight[: dims[0]], prior.weight[dims[0] :] = passed, 0.0
        prior.bias[: dims[0]], prior.bias[dims[0] :] = 0.0, math.log(prior_variance)
    model.decoder[1], model.priors[0] = nn.Identity(), prior
    w1, w2, a = (part.double().numpy() for part in (*weights, passed))
    share = prior_variance / (variances[0] + prior_variance)
    mean = share * w1 + (1 - share) * a @ w2
    within = share * variances[0] * np.eye(dims[0])
    within += (1 - share) ** 2 * variances[1] * a @ a.T
    pairs = [(mean, within), (w2, variances[1] * np.eye(dims[1]))]
    log_det = [
        [np.linalg.slogdet(noise + factor * 0.25 * m @ m.T)[1] for factor in (1, 0)]
        for m, noise in pairs
    ]
    return model, [0.5 * (both - own) for both, own in log_det]


def test_information_of_a_linear_ladder_is_its_closed_form():
    model, truths = top_down_model(300, (12, 12))
    metrics = measure(model, search_data(coin_flips(1200, 300)), SETTINGS).metrics
    for layer, truth in enumerate(truths, 1):
        upper, error = metrics[f"information_{layer}"], metrics[f"information_se_{layer}"]
        assert upper == pytest.approx(truth, rel=0.03)
        assert metrics[f"information_lower_{layer}"] <= truth + 3 * error <= upper + 1


@pytest.mark.parametrize("skip", [True, False])
def test_measuring_twice_gives_the_same_numbers(skip):
    model = build_model(Allocation((4, 3, 2)), (16,), ModelSection(hidden=8, skip=skip), 0).eval()
    data = search_data(coin_flips(150, 16))
    first, second = (measure(model, data, SETTINGS).metrics for _ in range(2))
    assert first == second
    assert all(math.isfinite(value) for value in first.values())


def test_explained_shares_are_those_of_the_marginal_code_length():
    model = build_model(Allocation((3, 2)), (16,), ModelSection(hidden=8), seed=0).eval()
    generator = torch.Generator().manual_seed(2)
    train = torch.randint(0, 256, (60, 4, 4), generator=generator).to(torch.uint8)
    values = coin_flips(400, 16).reshape(-1, 4, 4)
    metrics = measure(model, search_data(values, train), SETTINGS).metrics
    means = (train.flatten(1).double().sum(0) / 255 + 0.5) / 61
    ones = values.flatten(1).double() / 255
    code_length = -(ones * means.log() + (1 - ones) * (1 - means).log()).sum(1).mean()
    for k, name in enumerate(("distortion", "distortion_skip_1")):
        expected = 1 - metrics[name] / float(code_length)
        assert metrics[f"explained_skip_{k}"] == pytest.approx(expected, abs=1e-5)


def test_a_decoder_that_ignores_its_latents_explains_nothing():
    values = torch.zeros(500, 4, 4, dtype=torch.uint8)
    values[:, :2] = 255 * (torch.arange(500) % 4 == 0)[:, None, None]
    model = build_model(Allocation((3, 2)), (16,), ModelSection(hidden=8), seed=0).eval()
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.copy_(model.likelihood.marginal_parameters(values))
    metrics = measure(model, search_data(values), SETTINGS).metrics
    assert metrics["explained_skip_0"] == pytest.approx(0, abs=1e-6)
    assert metrics["explained_skip_1"] == pytest.approx(0, abs=1e-6)


def test_a_model_that_is_not_finite_is_refused():
    model = build_model(Allocation((3, 2)), (16,), ModelSection(hidden=8), seed=0).eval()
    with torch.no_grad():
        model.output.bias.fill_(math.nan)
    with pytest.raises(NotFiniteError, match="elbo is nan"):
        measure(model, search_data(coin_flips(50, 16)), SETTINGS)
