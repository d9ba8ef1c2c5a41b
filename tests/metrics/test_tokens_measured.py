from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, TrainingSection
from allocsearch.data.dataset import Dataset
from allocsearch.data.splits import SearchData
from allocsearch.metrics.evaluation import Settings, measure
from allocsearch.metrics.scorer import Passes, Scorer
from allocsearch.metrics.single_score import SingleScorer
from allocsearch.models.build import build_model
from allocsearch.training.loop import train

T, LEVELS = 13, 6
MODELS = {
    "dense": {"hidden": 12},
    "conv1d": {"blocks": "conv1d", "channels": 6, "latents": ["spatial", "dense"]},
}


def section(kind: str, **more: object) -> ModelSection:
    tokens = {"likelihood": "categorical", "one_hot": True, "levels": LEVELS, "pad": 0}
    return ModelSection.model_validate(
        {"depth": 1, "embedding": 3, **tokens, **MODELS[kind], **more}
    )


def sequences(n: int, seed: int) -> Tensor:
    """A first residue of 5, and up to 12 that follow it, save one in ten."""
    source = torch.Generator().manual_seed(seed)
    first = torch.randint(5, (n, 1), generator=source)
    letters = 1 + (first + torch.arange(T)) % 5
    other = torch.randint(1, LEVELS, (n, T), generator=source)
    noisy = torch.where(torch.rand(n, T, generator=source) < 0.1, other, letters)
    lengths = torch.randint(4, T + 1, (n, 1), generator=source)
    return noisy.masked_fill(torch.arange(T) >= lengths, 0).byte()


@pytest.mark.parametrize("inference", ["bottom_up", "top_down"])
@pytest.mark.parametrize("kind", MODELS)
def test_what_stands_at_pads_changes_no_score(kind: str, inference: str) -> None:
    model = build_model(Allocation((7, 2)), (T,), section(kind, inference=inference), 0).eval()
    sets = {64: sequences(64, 0), 16: sequences(16, 1)}
    passes = Passes(2, 64, 3, regret_steps=3)
    names = ("llr_1", "density")

    def scores() -> dict[str, Tensor]:
        found = Scorer.fit(model, sets[64], passes).score(sets[16])
        single = [SingleScorer.fit(model, sets[64], passes, name) for name in names]
        return {**found, **{f"single_{s.name}": s.score(sets[16]) for s in single}}

    def garbage(_: torch.nn.Module, inputs: tuple[Tensor, ...], given: Tensor) -> Tensor:
        pads = sets[given.shape[-2]].repeat(1, LEVELS - 1) == 0
        return torch.where(pads, 300 * given + 50, given)

    expected = scores()
    assert {"negative_elbo", "iw_llr_1", "kl_2", "mahalanobis", "likelihood_regret"} <= {*expected}
    assert not [name for name in expected if "complexity" in name]
    handle = model.output.register_forward_hook(garbage)
    with torch.no_grad():
        model.encoder[0][0].weight[0] = 1e3
    for name, found in scores().items():
        assert torch.equal(found, expected[name]), name
    handle.remove()
    # Elsewhere it would be seen.
    model.output.register_forward_hook(lambda _, inputs, given: 2 * given)
    assert not torch.equal(scores()["negative_elbo"], expected["negative_elbo"])


@pytest.mark.parametrize("kind", MODELS)
def test_information_and_bits_of_sequences(kind: str) -> None:
    train_set, held_out = sequences(300, 0), sequences(100, 1)
    model = build_model(Allocation((7, 2)), (T,), section(kind), 0)
    train(model, train_set, TrainingSection(epochs=12, batch_size=25, learning_rate=5e-3), 0)
    source = torch.Generator().manual_seed(4)
    lengths = (held_out != 0).sum(1)
    noise = torch.randint(1, LEVELS, held_out.shape, generator=source).byte()
    noise[held_out == 0] = 0
    data = SearchData(
        *(
            Dataset(name, values, kind="tokens")
            for name, values in (("train", train_set), ("held_out", held_out))
        ),
        (Dataset("noise", noise, kind="tokens"),),
    )
    found = measure(model, data, Settings("auto", 8, 4, 100, 0))
    metrics = found.metrics
    residues = float(lengths.double().mean())
    assert metrics["bits_per_dim"] == pytest.approx(-metrics["elbo"] / residues / math.log(2))
    assert metrics["bits_per_dim"] < 0.9 * math.log2(5)
    assert not found.broken_invariants
    # The first residue tells all the others: log 5 nats.
    assert 0.3 * math.log(5) < metrics["information_lower_1"] <= metrics["retention"]
    assert 0 <= metrics["attenuation"] <= 1
    assert 0 < metrics["explained_skip_0"] < 1
    assert metrics["auroc"] > 0.8
