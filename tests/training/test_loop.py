from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, ModelSection, TrainingSection
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.training.batches import epoch_batches
from allocsearch.training.divergence import DivergedError
from allocsearch.training.epoch import Epoch
from allocsearch.training.loop import train
from allocsearch.training.schedules import free_nats, kl_weight

MODEL = ModelSection(hidden=16, depth=1)
ALLOCATION = Allocation((3, 2))
SHORT = TrainingSection(epochs=3, batch_size=16, device="cpu")


@pytest.fixture
def values() -> Tensor:
    """Grey examples, uint8 `(50, 3, 4)`."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (50, 3, 4), generator=generator, dtype=torch.uint8)


def model_of(seed: int = 0, section: ModelSection = MODEL) -> HVAE:
    return build_model(ALLOCATION, (12,), section, seed)


def trained(values: Tensor, section: TrainingSection = SHORT, seed: int = 0, **kwargs) -> HVAE:
    model = model_of(seed)
    train(model, values, section, seed, **kwargs)
    return model


def same_bits(first: nn.Module, second: nn.Module) -> bool:
    one, two = first.state_dict(), second.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_initial_weights_depend_on_the_seed_alone() -> None:
    first = model_of(1)
    torch.manual_seed(99)
    torch.rand(7)
    assert same_bits(first, model_of(1))
    assert not same_bits(first, model_of(2))


def test_building_a_model_leaves_the_global_random_state() -> None:
    state = torch.get_rng_state()
    model_of(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_equal_seeds_give_equal_bits_and_other_seeds_other_ones(values: Tensor) -> None:
    first = trained(values, seed=3)
    torch.manual_seed(99)
    assert same_bits(first, trained(values, seed=3))
    assert not same_bits(first, trained(values, seed=4))
    other_order = model_of(3)
    train(other_order, values, SHORT, 4)
    assert not same_bits(first, other_order)


def test_training_repeats_its_history_and_leaves_the_data(values: Tensor) -> None:
    before = values.clone()
    histories = [train(model_of(), values, SHORT, 5) for _ in range(2)]
    assert histories[0] == histories[1]
    assert torch.equal(values, before)


def test_every_epoch_and_every_step_is_announced(values: Tensor) -> None:
    epochs: list[Epoch] = []
    steps: list[None] = []
    model = model_of()
    history = train(model, values, SHORT, 0, epochs.append, lambda: steps.append(None))
    assert tuple(epochs) == history
    assert [(epoch.epoch, epoch.epochs) for epoch in history] == [(1, 3), (2, 3), (3, 3)]
    assert len(steps) == 3 * (50 // 16)
    assert not model.training


def test_what_is_raised_before_a_step_ends_the_training(values: Tensor) -> None:
    class StopError(Exception):
        pass

    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise StopError

    epochs: list[Epoch] = []
    with pytest.raises(StopError):
        train(model_of(), values, SHORT, 0, epochs.append, stop)
    assert calls == 4
    assert len(epochs) == 1


def test_a_batch_larger_than_the_data_is_the_data(values: Tensor) -> None:
    steps: list[None] = []
    few = values[:10]
    section = SHORT.model_copy(update={"batch_size": 1_000})
    large = trained(few, section, on_step=lambda: steps.append(None))
    assert len(steps) == section.epochs
    assert same_bits(large, trained(few, SHORT.model_copy(update={"batch_size": 10})))


@pytest.mark.parametrize("rate", [1e30, 1e10])
def test_an_absurd_learning_rate_diverges(values: Tensor, rate: float) -> None:
    section = SHORT.model_copy(update={"learning_rate": rate, "epochs": 20})
    with pytest.raises(DivergedError, match=r"the loss became (nan|inf|-inf) in epoch"):
        trained(values, section)


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_found_in_its_epoch(values: Tensor, poison: float) -> None:
    model = model_of()

    def inject(epoch: Epoch) -> None:
        if epoch.epoch == 2:
            with torch.no_grad():
                model.output.bias[0] = poison

    with pytest.raises(DivergedError, match="in epoch 3"):
        train(model, values, SHORT, 0, inject)


def test_an_epoch_is_a_new_order_of_all_that_fills_a_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.stack(epoch_batches(50, 16, generator)) for _ in range(2))
    assert first.shape == (3, 16)
    for batches in (first, second):
        assert len(batches.unique()) == 48
        assert batches.min() >= 0
        assert batches.max() < 50
    assert not torch.equal(first, second)


def reference_training(
    model: HVAE, values: Tensor, section: TrainingSection, seed: int
) -> tuple[list[float], list[list[float]]]:
    """ELBO and rates by the plain loop, with torch's unfused optimiser and its own clipping."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=section.learning_rate, fused=False)
    steps = len(values) // section.batch_size
    elbos, rates = [], []
    for epoch in range(section.epochs):
        order = torch.randperm(len(values), generator=generator)
        bounds, terms_of_layers = [], []
        for step, chosen in enumerate(order.split(section.batch_size)[:steps]):
            progress = (epoch * steps + step) / (section.epochs * steps)
            x = model.likelihood.prepare(values[chosen], generator)
            latents = model.infer(x, model.draw_noise(section.batch_size, generator))
            terms = model.bound_terms(x, latents, analytic=section.kl == "analytic")
            free = free_nats(progress, section)
            charged = torch.zeros(())
            for layer in terms.kl:
                for dim in layer.mean(0):
                    charged = charged + (torch.clamp(dim, min=free) if free else dim)
            loss = kl_weight(progress, section) * charged - terms.log_likelihood.mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), section.gradient_clip)
            optimizer.step()
            bounds.append(terms.bound().mean().item())
            terms_of_layers.append([layer.sum(1).mean().item() for layer in terms.kl])
        elbos.append(float(np.mean(bounds)))
        rates.append(np.mean(terms_of_layers, axis=0).tolist())
    return elbos, rates


@pytest.mark.parametrize("clip", [200.0, 0.5])
@pytest.mark.parametrize("free", [0.0, 2.0])
def test_training_equals_the_loop_written_plainly(
    values: Tensor, clip: float, free: float
) -> None:
    section = TrainingSection(
        epochs=4, batch_size=16, gradient_clip=clip, free_nats=free, device="cpu"
    )
    plain, ours = model_of(7), model_of(7)
    elbos, rates = reference_training(plain, values, section, 8)
    history = train(ours, values, section, 8)
    assert [epoch.elbo for epoch in history] == pytest.approx(elbos, rel=1e-4)
    np.testing.assert_allclose([epoch.rates for epoch in history], rates, rtol=1e-3, atol=1e-4)
    for (name, found), expected in zip(ours.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-4, msg=name)


def test_gradient_clipping_changes_the_training(values: Tensor) -> None:
    section = SHORT.model_copy(update={"gradient_clip": 0.01})
    assert not same_bits(trained(values, section), trained(values))


def test_products_in_bfloat16_give_nearly_the_same_training(values: Tensor) -> None:
    exact = train(model_of(), values, SHORT, 0)
    rounded = train(model_of(), values, SHORT.model_copy(update={"precision": "bfloat16"}), 0)
    assert [e.elbo for e in rounded] != [e.elbo for e in exact]
    assert [e.elbo for e in rounded] == pytest.approx([e.elbo for e in exact], rel=0.01)


def test_a_training_on_a_gpu_that_is_not_there_is_refused(values: Tensor, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"training\.device"):
        train(model_of(), values, SHORT.model_copy(update={"device": "cuda"}), 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_training_on_a_gpu_is_near_that_on_the_cpu_and_comes_back(values: Tensor) -> None:
    section = TrainingSection(epochs=30, batch_size=16, precision="float32")
    model = model_of()
    gpu = train(model, values, section.model_copy(update={"device": "cuda"}), 0)
    cpu = train(model_of(), values, section.model_copy(update={"device": "cpu"}), 0)
    # Other random numbers, same data.
    assert gpu[-1].elbo == pytest.approx(cpu[-1].elbo, abs=0.5)
    assert {p.device.type for p in model.parameters()} == {"cpu"}


def test_training_brings_the_elbo_near_the_entropy_of_the_data() -> None:
    # Two binary patterns: log p(x) = -log 2 at best, and no ELBO exceeds it in the mean.
    patterns = torch.tensor([[0, 255] * 6, [255, 255, 0] * 4], dtype=torch.uint8)
    values = patterns.repeat(32, 1)
    section = TrainingSection(epochs=150, batch_size=32, learning_rate=0.01, free_nats=0.0)
    history = train(model_of(), values, section, 0)
    final = np.mean([epoch.elbo for epoch in history[-10:]])
    assert history[0].elbo < -6
    assert -1.5 < final < -math.log(2) + 0.05
