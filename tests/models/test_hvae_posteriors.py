from __future__ import annotations

import pytest
import torch

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.models.build import build_model


@pytest.mark.parametrize("skip", [True, False])
def test_posteriors_at_given_latents_are_those_that_drew_them(skip):
    model = build_model(Allocation((5, 3, 2)), (8,), ModelSection(hidden=6, skip=skip), seed=0)
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 2, (7, 8), generator=generator).float()
    drawn = model.infer(x, model.draw_noise(7, generator, samples=4))
    for layers in (1, 2, 3):
        found = model.posteriors_given(x, [latent.z for latent in drawn[:layers]])
        assert len(found) == layers
        for posterior, latent in zip(found, drawn, strict=False):
            torch.testing.assert_close(posterior.mean, latent.posterior.mean)
            torch.testing.assert_close(posterior.log_var, latent.posterior.log_var)


def test_other_latents_have_other_posteriors_above_them():
    model = build_model(Allocation((5, 3)), (8,), ModelSection(hidden=6), seed=0)
    x = torch.ones(2, 8)
    low, high = (
        model.posteriors_given(x, [torch.full((2, 5), value), torch.zeros(2, 3)])
        for value in (-1.0, 1.0)
    )
    torch.testing.assert_close(low[0].mean, high[0].mean)
    assert not torch.allclose(low[1].mean, high[1].mean)
