from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, TrainingSection
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.models.likelihoods.categorical import Categorical
from allocsearch.training.loop import train
from allocsearch.training.population import train_population

TOKENS = {"likelihood": "categorical", "one_hot": True, "levels": 6, "pad": 0, "embedding": 3}
DENSE = {"hidden": 8, **TOKENS}
CONV = {"blocks": "conv1d", "channels": 3, "latents": ["spatial", "dense"], **TOKENS}
SECTION = TrainingSection(epochs=2, batch_size=16, batch_seed=7)


@pytest.fixture(autouse=True)
def in_double_precision(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rounding grows from step to step; in float64 it stays far below what is compared."""
    prepare = Categorical.prepare
    monkeypatch.setattr(Categorical, "prepare", lambda *given: prepare(*given).double())
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def model_of(text: str, section: ModelSection, seed: int) -> HVAE:
    return build_model(Allocation.parse(text), (9,), section, seed).double()


@pytest.mark.parametrize("inference", ["bottom_up", "top_down"])
@pytest.mark.parametrize(("model", "texts"), [(DENSE, ("6-1", "2-4")), (CONV, ("5-2", "10-1"))])
def test_together_and_one_by_one_give_the_same_models(model, texts, inference) -> None:
    section = ModelSection.model_validate({**model, "depth": 1, "inference": inference})
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(1, 6, (40, 9), generator=generator)
    lengths = torch.randint(1, 10, (40, 1), generator=generator)
    values = values.masked_fill(torch.arange(9) >= lengths, 0).byte()
    together = [model_of(text, section, seed) for seed, text in enumerate(texts)]
    found = train_population(together, values, [SECTION] * 2, [10, 11])
    for i, text in enumerate(texts):
        single = model_of(text, section, i)
        before = single.encoder[0][0].weight.detach().clone()
        history = train(single, values, SECTION, 10 + i)
        for epoch, alone in zip(found[i], history, strict=True):
            assert epoch.progress == pytest.approx(alone.progress)
        for mine, own in zip(together[i].parameters(), single.parameters(), strict=True):
            torch.testing.assert_close(mine, own)
        after = single.encoder[0][0].weight
        assert torch.equal(after[0], torch.zeros(3))
        assert (after[1:] != before[1:]).all()
