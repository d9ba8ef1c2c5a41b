from __future__ import annotations

import pytest
import torch

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.metrics.layers import draw_layers
from allocsearch.models.build import build_model

N, SAMPLES, DIMS = 70, 5, (4, 3, 2)


@pytest.fixture(params=["bottom_up", "top_down"])
def model(request):
    section = ModelSection(inference=request.param, hidden=16, depth=1)
    return build_model(Allocation(DIMS), (6, 6), section, seed=0).eval()


@pytest.fixture
def values():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (N, 6, 6), generator=generator, dtype=torch.uint8)


def test_the_layers_are_those_that_the_posteriors_give_at_the_draws(model, values):
    x, layers = draw_layers(model, values, SAMPLES, batch_size=32, seed=1)
    assert x.shape == (N, 36)
    assert [tuple(layer.z.shape) for layer in layers] == [(N, SAMPLES, d) for d in DIMS]
    order = [layers[index] for index in model.order]
    with torch.inference_mode():
        given = model.posteriors_given(x, [layer.z.transpose(0, 1) for layer in order])
    for number, (layer, posterior) in enumerate(zip(order, given, strict=True)):
        # The posterior of the layer drawn first does not depend on any draw.
        assert layer.mean.shape[1] == (SAMPLES if number else 1)
        for found, expected in ((layer.mean, posterior.mean), (layer.log_var, posterior.log_var)):
            expected = expected.transpose(0, 1) if number else expected[:, None]
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_draws_are_standard_normal_around_their_posteriors(model, values):
    _, layers = draw_layers(model, values, 40, batch_size=32, seed=1)
    for layer in layers:
        noise = (layer.z - layer.mean) * torch.exp(-0.5 * layer.log_var)
        assert float(noise.mean()) == pytest.approx(0, abs=0.06)
        assert float(noise.std()) == pytest.approx(1, abs=0.05)


def test_every_pass_is_announced_and_the_seed_decides(model, values):
    passes = []
    _, layers = draw_layers(model, values, SAMPLES, 32, 1, lambda: passes.append(1))
    assert len(passes) == 3
    _, again = draw_layers(model, values, SAMPLES, 32, 1)
    _, other = draw_layers(model, values, SAMPLES, 32, 2)
    for layer, same, different in zip(layers, again, other, strict=True):
        assert torch.equal(layer.z, same.z)
        assert not torch.equal(layer.z, different.z)
