from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, TrainingSection
from allocsearch.models.build import INFERENCE_KINDS, build_model
from allocsearch.models.hvae import HVAE
from allocsearch.models.likelihoods.bernoulli import Bernoulli
from allocsearch.training.divergence import DivergedError
from allocsearch.training.epoch import Epoch
from allocsearch.training.loop import train
from allocsearch.training.population import train_population

SHAPE = (4, 4)
TEXTS = ("5-2-1", "1-6-1", "2-2-4", "6-1-1")
SECTION = TrainingSection(epochs=3, batch_size=16, batch_seed=7)


def model_of(text: str, seed: int, **changes: object) -> HVAE:
    section = ModelSection.model_validate({"hidden": 12, "depth": 1, **changes})
    return build_model(Allocation.parse(text), SHAPE, section, seed).double()


def values(n: int = 70) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, *SHAPE), generator=generator).to(torch.uint8)


@pytest.fixture(autouse=True)
def in_double_precision(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rounding grows from step to step; in float64 it stays far below what is compared."""
    prepare = Bernoulli.prepare
    monkeypatch.setattr(Bernoulli, "prepare", lambda *given: prepare(*given).double())
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def check_equal(
    sections: Sequence[TrainingSection], texts: Sequence[str] = TEXTS, **changes: object
) -> None:
    """Train the candidates together and one by one, and compare histories and weights."""
    together = [model_of(text, seed, **changes) for seed, text in enumerate(texts)]
    seeds = [100 + seed for seed in range(len(texts))]
    found = train_population(together, values(), sections, seeds)
    for i, (text, section) in enumerate(zip(texts, sections, strict=True)):
        single = model_of(text, i, **changes)
        before = [parameter.clone() for parameter in single.parameters()]
        history = train(single, values(), section, seeds[i])
        assert not together[i].training
        for epoch, alone in zip(found[i], history, strict=True):
            assert epoch.progress == pytest.approx(alone.progress)
        for mine, own in zip(together[i].parameters(), single.parameters(), strict=True):
            torch.testing.assert_close(mine, own)
        assert any(not torch.equal(a, b) for a, b in zip(before, single.parameters(), strict=True))


@pytest.mark.parametrize("inference", INFERENCE_KINDS)
@pytest.mark.parametrize("skip", [True, False])
def test_together_and_one_by_one_give_the_same_models(inference: str, skip: bool) -> None:
    check_equal([SECTION] * 4, inference=inference, skip=skip)


def test_convolution_blocks() -> None:
    conv = {"blocks": "conv", "channels": 3, "kernels": [3], "strides": [2, 1, 1], "hidden": 256}
    latents = {"latents": ["spatial", "dense", "dense"]}
    check_equal([SECTION] * 3, ("4-2-1", "8-1-3", "4-4-1"), **conv, **latents)


@pytest.mark.parametrize("k", [1, 2])
def test_any_number_of_candidates(k: int) -> None:
    check_equal([SECTION] * k, TEXTS[:k])


def test_closed_form_terms_and_common_noise() -> None:
    section = SECTION.model_copy(update={"kl": "analytic", "common_noise": True})
    check_equal([section] * 4)


def test_every_candidate_has_its_schedule_and_its_clipping() -> None:
    # The limit cuts the gradients of some steps; a common norm would cut them alike.
    sections = [
        SECTION.model_copy(update={"kl_warmup": share, "free_nats": free, "gradient_clip": 3.0})
        for share, free in [(0.0, 0.0), (0.25, 2.0), (0.5, 0.5), (1.0, 1.0)]
    ]
    check_equal(sections)


def test_layers_of_equal_dims_see_the_same_common_noise() -> None:
    section = SECTION.model_copy(update={"common_noise": True})
    models = [model_of(text, 0) for text in ("5-2-1", "5-2-1")]
    train_population(models, values(), [section] * 2, [1, 2])
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, two)
    others = [model_of(text, 0) for text in ("5-2-1", "5-2-1")]
    train_population(others, values(), [SECTION] * 2, [1, 2])
    assert not torch.equal(others[0].output.weight, others[1].output.weight)


def test_one_that_diverges_leaves_the_others_as_they_are() -> None:
    models = [model_of(text, seed) for seed, text in enumerate(TEXTS)]
    with torch.no_grad():
        models[1].output.bias[0] = math.nan
    epochs: list[tuple[int, Epoch]] = []
    found = train_population(
        models, values(), [SECTION] * 4, [100, 101, 102, 103], lambda i, e: epochs.append((i, e))
    )
    assert isinstance(found[1], DivergedError)
    assert "the loss became nan in epoch 1" in str(found[1])
    for i in (0, 2, 3):
        single = model_of(TEXTS[i], i)
        history = train(single, values(), SECTION, 100 + i)
        for epoch, alone in zip(found[i], history, strict=True):
            assert epoch.progress == pytest.approx(alone.progress)
        torch.testing.assert_close(models[i].output.weight, single.output.weight)
        assert [e for j, e in epochs if j == i] == list(found[i])
    assert not [e for j, e in epochs if j == 1]


def test_a_population_that_diverges_as_a_whole_ends_early() -> None:
    models = [model_of(text, 0) for text in TEXTS[:2]]
    for model in models:
        with torch.no_grad():
            model.output.bias[0] = math.inf
    steps: list[None] = []
    found = train_population(
        models, values(), [SECTION] * 2, [0, 1], on_step=lambda: steps.append(None)
    )
    assert [type(each) for each in found] == [DivergedError] * 2
    assert len(steps) == 70 // 16


def test_what_a_step_raises_ends_the_training() -> None:
    class StopError(Exception):
        pass

    def stop() -> None:
        raise StopError

    with pytest.raises(StopError):
        train_population([model_of("5-2-1", 0)], values(), [SECTION], [0], on_step=stop)


@pytest.mark.parametrize(
    ("texts", "changes", "message"),
    [
        ((), {}, "a model, a training and a seed"),
        (("5-2-1", "4-4"), {}, "differ in more than the dims"),
        (("5-2-1", "4-3-1"), {"learning_rate": 0.1}, "differ in training.learning_rate"),
        (("5-2-1", "4-3-1"), {"epochs": 9}, "differ in training.epochs"),
    ],
)
def test_candidates_that_cannot_be_trained_together_are_refused(
    texts: tuple[str, ...], changes: dict[str, object], message: str
) -> None:
    sections = [SECTION.model_copy(update=changes), SECTION][: len(texts)]
    models = [model_of(text, 0) for text in texts]
    with pytest.raises(ValueError, match=message):
        train_population(models, values(), sections, range(len(texts)))


def test_shared_batches_need_their_own_seed() -> None:
    alone = SECTION.model_copy(update={"batch_seed": None})
    models = [model_of(text, 0) for text in TEXTS[:2]]
    with pytest.raises(ValueError, match="says which"):
        train_population(models, values(), [alone] * 2, [0, 1])
