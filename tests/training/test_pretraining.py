from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss
from torch import Tensor, nn

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, ModelSection, TrainingSection
from allocsearch.data.augmentation import augmented
from allocsearch.data.digits import read_digits
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.training import pretraining
from allocsearch.training.checkpoint import Checkpoint, dump, parse
from allocsearch.training.divergence import DivergedError
from allocsearch.training.epoch import Epoch
from allocsearch.training.loop import train
from allocsearch.training.population import train_population
from allocsearch.training.pretraining import PretrainingEpoch, contrastive_loss, pretrain

DENSE = {"hidden": 16, "depth": 1}
CONV = {"blocks": "conv", "channels": 4, "depth": 1, "kernels": 3, "strides": 2}
CONV |= {"latents": "dense"}
KINDS = {
    "bottom_up": DENSE,
    "markov": {**DENSE, "skip": False},
    "top_down": {**DENSE, "inference": "top_down"},
    "conv": CONV,
    "conv_top_down": {**CONV, "inference": "top_down"},
}
ALLOCATION = Allocation((3, 2))
ENDLESS = 10_000


def section_of(*, epochs: int = 3, frozen: int = 0, **changes) -> TrainingSection:
    how = {"epochs": 2, "projection": 8, "frozen_epochs": frozen}
    raw = {"epochs": epochs, "batch_size": 16, "device": "cpu", "pretrain": how}
    return TrainingSection.model_validate({**raw, **changes})


PLAIN = section_of(pretrain=None)


@pytest.fixture
def values() -> Tensor:
    """Grey examples, uint8 `(50, 8, 8)`."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (50, 8, 8), generator=generator, dtype=torch.uint8)


def model_of(kind: str = "bottom_up", seed: int = 0, dims: Allocation = ALLOCATION) -> HVAE:
    return build_model(dims, (8, 8), ModelSection.model_validate(KINDS[kind]), seed)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in model.state_dict().items()}


def same_bits(first: nn.Module, second: nn.Module) -> bool:
    one, two = first.state_dict(), second.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_the_loss_is_equation_1(temperature: float) -> None:
    n = 6
    generator = torch.Generator().manual_seed(2)
    z = torch.randn(2 * n, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    total = torch.zeros((), dtype=torch.float64)
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        similar = [
            torch.exp(z[i] @ z[k] / (z[i].norm() * z[k].norm()) / temperature)
            for k in range(2 * n)
        ]
        total -= torch.log(similar[j] / (sum(similar) - similar[i]))
    expected = total / (2 * n)
    found = contrastive_loss(temperature)(z)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    gradients = [torch.autograd.grad(loss, z)[0] for loss in (found, expected)]
    torch.testing.assert_close(*gradients)
    named = NTXentLoss(temperature)(z, torch.arange(n).repeat(2))
    assert found.item() == pytest.approx(named.item(), rel=1e-12)


def test_views_that_are_told_apart_cost_next_to_nothing_and_equal_ones_a_logarithm() -> None:
    loss = contrastive_loss(0.01)
    apart = torch.eye(4).repeat(2, 1)
    assert loss(apart).item() == pytest.approx(0, abs=1e-6)
    assert loss(torch.ones(8, 4)).item() == pytest.approx(math.log(7), rel=1e-6)


def test_a_loss_that_is_no_number_is_not_passed_over() -> None:
    assert math.isnan(contrastive_loss(0.5)(torch.full((8, 4), torch.nan)).item())


def test_without_the_library_there_is_one_line(monkeypatch, values: Tensor) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning.losses", None)
    with pytest.raises(InputError, match=r"^training.pretrain: needs .*'allocsearch\[pretrain\]'"):
        train(model_of(), values, section_of(), 0)
    train(model_of(), values, PLAIN.model_copy(update={"epochs": 1}), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_encoding_is_what_x_alone_says_at_the_top(kind: str, values: Tensor) -> None:
    model = model_of(kind).eval()
    x = model.likelihood.prepare(values, torch.Generator().manual_seed(0))
    with torch.no_grad():
        encoded = model.encoding(x)
        zeros = [x.new_zeros(len(x), d) for d in ALLOCATION.dims]
        latents = model.infer(x, zeros)
        # The head of the top layer reads the encoding, and in between z of the layer below.
        maps = (len(x), 2, 2, 4) if kind.startswith("conv") else (len(x), 16)
        assert encoded.shape == (len(x), math.prod(maps[1:]))
        inputs = (encoded.reshape(maps),)
        if kind in ("bottom_up", "conv"):
            inputs = (*inputs, latents[-2].z)
        mean = model.posteriors[-1](*inputs)[:, : ALLOCATION.dims[-1]]
    torch.testing.assert_close(mean, latents[-1].posterior.mean)


def path_by_hand(kind: str, model: HVAE) -> set[str]:
    """Every encoder stage; without skip connections also the heads below the top."""
    starts = ("encoder.", "posteriors.0.") if kind == "markov" else ("encoder.",)
    return {name for name, _ in model.named_parameters() if name.startswith(starts)}


def test_each_example_is_seen_in_two_views_of_its_own(monkeypatch, values: Tensor) -> None:
    views: list[tuple[Tensor, Tensor]] = []
    seen: list[Tensor] = []

    def recorded(batch: Tensor, *others: Any) -> Tensor:
        views.append((batch, augmented(batch, *others)))
        return views[-1][1]

    model, section = model_of(), section_of()
    assert section.pretrain is not None
    prepare = model.likelihood.prepare

    def prepared(both: Tensor, source: torch.Generator) -> Tensor:
        seen.append(both)
        return prepare(both, source)

    monkeypatch.setattr(pretraining, "augmented", recorded)
    monkeypatch.setattr(model.likelihood, "prepare", prepared)
    pretrain(model, values, section, section.pretrain, 0)
    assert len(views) == 2 * len(seen) == 2 * 2 * (len(values) // 16)
    for (one, first), (two, second), both in zip(views[::2], views[1::2], seen, strict=True):
        assert torch.equal(one, two)
        assert (first != second).flatten(1).any(1).all()
        assert torch.equal(both, torch.cat((first, second)))


@pytest.mark.parametrize("kind", KINDS)
def test_pretraining_moves_the_encoder_path_alone(kind: str, values: Tensor) -> None:
    model, section = model_of(kind), section_of()
    before = weights_of(model)
    path = {*model.encoder_path()}
    assert path == path_by_hand(kind, model)
    assert section.pretrain is not None
    pretrain(model, values, section, section.pretrain, 0)
    after = weights_of(model)
    assert {name for name in after if not torch.equal(before[name], after[name])} == path


def test_pretraining_learns_to_know_views_again() -> None:
    values = read_digits()[0][:320]
    section = section_of(pretrain={"epochs": 10, "projection": 8}, learning_rate=3e-3)
    found: list[PretrainingEpoch] = []
    assert section.pretrain is not None
    pretrain(model_of(), values, section, section.pretrain, 0, found.append)
    # Of 2 N - 1 = 31 views, one is to be known; by chance that costs log 31.
    assert found[0].contrastive_loss < math.log(31) + 0.1
    assert found[-1].contrastive_loss < found[0].contrastive_loss - 0.5
    assert [each.pretrain_epoch for each in found] == [*range(1, 11)]


def test_equal_arguments_give_equal_bits(values: Tensor) -> None:
    first, second, other = model_of(), model_of(), model_of()
    history = train(first, values, section_of(), 3)
    torch.manual_seed(99)
    assert train(second, values, section_of(), 3) == history
    assert same_bits(first, second)
    train(other, values, section_of(), 4)
    assert not same_bits(first, other)


def test_without_the_section_a_training_is_what_follows_from_the_weights(values: Tensor) -> None:
    """The training by the ELBO draws what it drew before, whatever came first."""
    both, apart = model_of(), model_of()
    section = section_of()
    train(both, values, section, 3)
    assert section.pretrain is not None
    pretrain(apart, values, section, section.pretrain, 3)
    train(apart, values, PLAIN, 3)
    assert same_bits(both, apart)


@pytest.mark.parametrize("kind", ["bottom_up", "markov", "conv_top_down"])
def test_frozen_weights_stay_bit_for_bit_and_then_move(kind: str, values: Tensor) -> None:
    model, section = model_of(kind), section_of(epochs=4, frozen=2)
    path = model.encoder_path()
    seen: list[dict[str, Tensor]] = []
    train(
        model,
        values,
        section,
        0,
        on_pretrain=lambda epoch: seen.append(weights_of(model)),
        on_epoch=lambda epoch: seen.append(weights_of(model)),
    )
    pretrained, *trained = seen[1:]
    for number, weights in enumerate(trained, 1):
        moved = {name for name in weights if not torch.equal(weights[name], pretrained[name])}
        assert moved.isdisjoint(path) == (number <= 2)
        assert any(name.startswith("decoder.") for name in moved)
        if number > 2:
            assert moved & {*path}
    assert all(weight.requires_grad for weight in model.parameters())


def test_every_epoch_and_step_is_announced(values: Tensor) -> None:
    pretrained: list[PretrainingEpoch] = []
    epochs: list[Epoch] = []
    steps: list[None] = []
    train(
        model_of(),
        values,
        section_of(),
        0,
        epochs.append,
        lambda: steps.append(None),
        on_pretrain=pretrained.append,
    )
    counts = [(e.pretrain_epoch, e.pretrain_epochs, e.epochs) for e in pretrained]
    assert counts == [(1, 2, 3), (2, 2, 3)]
    assert len(steps) == (2 + 3) * (50 // 16)
    assert len(epochs) == 3


def test_an_absurd_learning_rate_diverges(values: Tensor) -> None:
    section = section_of(learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"the contrastive loss became .* in epoch"):
        train(model_of(), values, section, 0)


class StopError(Exception):
    pass


@pytest.mark.parametrize("at", [3, 6, 8, 14])
def test_an_interrupted_training_goes_on_bit_for_bit(values: Tensor, at: int) -> None:
    """Stopped within the pretraining, right after it, and with and without frozen weights."""
    section = section_of(epochs=4, frozen=1)
    whole = model_of()
    history = train(whole, values, section, 3)
    kept: list[Checkpoint] = []
    steps = iter(range(ENDLESS))

    def stop() -> None:
        if next(steps) == at:
            raise StopError

    def keep(capture: Callable[[], Checkpoint]) -> None:
        kept.append(capture())

    with pytest.raises(StopError):
        train(model_of(), values, section, 3, on_step=stop, on_checkpoint=keep)
    start = parse(dump(kept[-1], "it"), "it") if kept else None
    assert (start is None) == (at < 6)
    pretrained: list[PretrainingEpoch] = []
    resumed = model_of()
    told = {"start": start, "on_pretrain": pretrained.append}
    assert train(resumed, values, section, 3, **told) == history
    assert len(pretrained) == (2 if start is None else 0)
    assert same_bits(resumed, whole)


def test_a_population_is_what_its_candidates_are_alone(values: Tensor) -> None:
    section = section_of(epochs=2, frozen=1, batch_seed=5)
    dims = [Allocation((3, 2)), Allocation((2, 4))]
    alone, together = ([model_of(seed=i, dims=d) for i, d in enumerate(dims)] for _ in range(2))
    expected = [train(model, values, section, i) for i, model in enumerate(alone)]
    told: list[tuple[int, int]] = []
    found = train_population(
        together,
        values,
        [section] * 2,
        [0, 1],
        on_pretrain=lambda index, epoch: told.append((index, epoch.pretrain_epoch)),
    )
    assert told == [(0, 1), (0, 2), (1, 1), (1, 2)]
    for own, other in zip(found, expected, strict=True):
        assert isinstance(own, tuple)
        assert [e.elbo for e in own] == pytest.approx([e.elbo for e in other], rel=1e-5)
    for one, two in zip(alone, together, strict=True):
        for name, weight in one.state_dict().items():
            torch.testing.assert_close(two.state_dict()[name], weight, rtol=1e-3, atol=1e-4)


def test_frozen_weights_of_a_population_stay_bit_for_bit(values: Tensor) -> None:
    section = section_of(epochs=1, frozen=1, batch_seed=5)
    dims = [Allocation((3, 2)), Allocation((2, 4))]
    alone, together = ([model_of(seed=i, dims=d) for i, d in enumerate(dims)] for _ in range(2))
    train_population(together, values, [section] * 2, [0, 1])
    assert section.pretrain is not None
    for seed, (one, two) in enumerate(zip(alone, together, strict=True)):
        pretrain(one, values, section, section.pretrain, seed)
        path = one.encoder_path()
        assert all(torch.equal(one.state_dict()[n], two.state_dict()[n]) for n in path)
        assert not same_bits(one, two)


def test_a_candidate_whose_pretraining_diverges_leaves_the_others_be(values: Tensor) -> None:
    section = section_of(epochs=1, batch_seed=5)
    models = [model_of(seed=i) for i in range(2)]
    with torch.no_grad():
        next(models[0].encoder.parameters()).fill_(torch.nan)
    broken, whole = train_population(models, values, [section] * 2, [0, 1])
    assert isinstance(broken, DivergedError)
    assert "contrastive" in str(broken)
    alone = train(model_of(seed=1), values, section, 1)
    assert isinstance(whole, tuple)
    assert whole[0].elbo == pytest.approx(alone[0].elbo, rel=1e-5)


TOKENS = {"likelihood": "categorical", "one_hot": True, "levels": 22, "pad": 0, "embedding": 3}
SEQUENCES = {
    "dense": {"hidden": 8, "depth": 1, **TOKENS},
    "conv1d": {"blocks": "conv1d", "channels": 4, "depth": 1, "latents": "dense", **TOKENS},
    "indicators": {"hidden": 8, "depth": 1, **TOKENS, "embedding": None},
}


@pytest.mark.parametrize("kind", SEQUENCES)
def test_token_sequences_are_pretrained(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 22, (40, 24), generator=generator, dtype=torch.uint8)
    tokens[torch.arange(24) >= torch.randint(8, 25, (40, 1), generator=generator)] = 0
    model_section = ModelSection.model_validate(SEQUENCES[kind])
    model = build_model(ALLOCATION, (24,), model_section, 0)
    path = {*model.encoder_path()}
    assert path == {name for name, _ in model.named_parameters() if name.startswith("encoder.")}
    embeddings = {n for n, weight in model.named_parameters() if weight.shape == (22, 3)}
    assert embeddings <= path
    assert len(embeddings) == (kind != "indicators")
    before, section = weights_of(model), section_of(epochs=1, frozen=1)
    train(model, tokens, section, 0)
    after = weights_of(model)
    pretrained = build_model(ALLOCATION, (24,), model_section, 0)
    assert section.pretrain is not None
    pretrain(pretrained, tokens, section, section.pretrain, 0)
    for name in path:
        assert not torch.equal(after[name], before[name])
        assert torch.equal(after[name], pretrained.state_dict()[name])
