from __future__ import annotations

import pytest
import torch
from torch import Tensor

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, TrainingSection
from allocsearch.metrics.regret import likelihood_regret
from allocsearch.models.build import INFERENCE_KINDS, build_model
from allocsearch.models.hvae import HVAE
from allocsearch.training.loop import train


def stripes(n: int) -> Tensor:
    """Pictures with one bright row."""
    values = torch.zeros(n, 5, 5, dtype=torch.uint8)
    values[torch.arange(n), torch.arange(n) % 5] = 255
    return values


@pytest.fixture(scope="module", params=sorted(INFERENCE_KINDS))
def model(request: pytest.FixtureRequest) -> HVAE:
    section = ModelSection.model_validate({"hidden": 16, "depth": 1, "inference": request.param})
    model = build_model(Allocation((3, 2)), (5, 5), section, 0)
    training = TrainingSection(epochs=40, batch_size=25, free_nats=0.0, learning_rate=5e-3)
    train(model, stripes(200), training, 0)
    return model


def test_what_the_encoder_does_not_know_has_more_regret(model: HVAE) -> None:
    own, other = stripes(40), stripes(40).transpose(1, 2).contiguous()
    known, unknown = (likelihood_regret(model, v, 30, 4, 20, 0) for v in (own, other))
    assert known.shape == unknown.shape == (40,)
    assert (known >= 0).all()
    assert (unknown >= 0).all()
    assert unknown.mean() > known.mean() + 1


def test_no_step_has_no_regret_and_more_have_more(model: HVAE) -> None:
    other = stripes(10).transpose(1, 2).contiguous()
    none, few, many = (likelihood_regret(model, other, n, 8, 10, 0) for n in (0, 5, 60))
    assert not none.any()
    assert many.mean() > few.mean() > 0


def test_the_model_is_left_as_it_was_and_seeds_repeat(model: HVAE) -> None:
    before = [(parameter.clone(), parameter.grad) for parameter in model.parameters()]
    calls: list[None] = []
    first = likelihood_regret(model, stripes(7), 3, 2, 4, 1, lambda: calls.append(None))
    assert len(calls) == 6
    assert torch.equal(first, likelihood_regret(model, stripes(7), 3, 2, 4, 1))
    for parameter, (old, gradient) in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, old)
        assert parameter.grad is gradient
