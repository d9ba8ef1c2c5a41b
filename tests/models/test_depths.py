from __future__ import annotations

import pytest
import torch
from torch import Tensor

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.models.build import build_model
from allocsearch.models.depths import decode_depths
from allocsearch.models.hvae import HVAE
from allocsearch.models.masking import embed

BATCH = 5
KINDS = {
    "dense": {"hidden": 8, "skip": False},
    "skips": {"hidden": 8},
    "top_down": {"hidden": 8, "inference": "top_down"},
    "conv": {"blocks": "conv", "channels": 4, "latents": ["spatial", "dense", "dense"]},
}


def model_of(kind: str) -> HVAE:
    section = ModelSection.model_validate({"depth": 1, **KINDS[kind]})
    dims = (16, 4, 2) if kind == "conv" else (5, 4, 2)
    model = build_model(Allocation(dims), (8, 8), section, 3).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Large enough that no layer is nearly constant.
            parameter.mul_(1.5)
    return model


def inputs(model: HVAE, seed: int = 0) -> tuple[Tensor, tuple[Tensor, ...]]:
    source = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 256, (BATCH, 8, 8), generator=source, dtype=torch.uint8)
    x = model.likelihood.prepare(values, source)
    return x, model.draw_noise(BATCH, torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
def test_each_depth_is_what_drawing_layer_by_layer_gives(kind: str) -> None:
    model = model_of(kind)
    x, noise = inputs(model)
    with torch.inference_mode():
        found = decode_depths(model, x, noise, range(4))
        drawn = [latent.z for latent in model.infer(x, noise)]
        for k in range(4):
            latents = list(drawn)
            for layer in reversed(range(k)):
                prior = model.priors_given(latents)[layer]
                own = noise[layer]
                if prior is not None:
                    own = prior.mean + own * torch.exp(prior.log_var / 2)
                latents[layer] = own
            expected = model.likelihood.mean(model.generate(latents).parameters)
            torch.testing.assert_close(found[k], expected)
    assert found.shape == (4, BATCH, 64)
    # The depths differ, or nothing would have been tested.
    assert all(float((found[k] - found[k + 1]).abs().max()) > 0.1 for k in range(3))


@pytest.mark.parametrize("kind", KINDS)
def test_depth_0_sees_x_and_the_last_depth_does_not(kind: str) -> None:
    model = model_of(kind)
    noise = inputs(model)[1]
    with torch.inference_mode():
        one, other = (decode_depths(model, inputs(model, s)[0], noise, (0, 3)) for s in (0, 5))
        terms = model.generate([latent.z for latent in model.infer(inputs(model)[0], noise)])
    assert torch.equal(one[0], model.likelihood.mean(terms.parameters))
    assert not torch.allclose(one[0], other[0])
    assert torch.equal(one[1], other[1])


@pytest.mark.parametrize(
    ("part", "layer", "same"),
    [
        # The prior of layer 1 is a standard normal whatever is above it.
        ("priors", 0, {(1, 2), (2, 3)}),
        # The posterior of the top layer is its prior.
        ("posteriors", 2, {(2, 3)}),
    ],
    ids=["ignored by the decoder", "collapsed"],
)
def test_layers_without_information_make_no_difference(
    part: str, layer: int, same: set[tuple[int, int]]
) -> None:
    model = model_of("dense")
    x, noise = inputs(model)
    with torch.inference_mode():
        for parameter in getattr(model, part)[layer].parameters():
            parameter.zero_()
        found = decode_depths(model, x, noise, range(4))
    assert all(torch.equal(found[i], found[j]) for i, j in same)
    # The next depth below does make one.
    first = min(same)[0]
    assert not torch.allclose(found[first - 1], found[first])


def test_masked_dims_make_no_difference() -> None:
    section = ModelSection(hidden=8, depth=1)
    narrow = build_model(Allocation((5, 2)), (8, 8), section, 3)
    wide = build_model(Allocation((5, 2)), (8, 8), section, 4, (6, 5))
    embed(narrow, wide)
    x, noise = inputs(wide)
    cut = [own[:, :d] for own, d in zip(noise, (5, 2), strict=True)]
    with torch.inference_mode():
        found = decode_depths(wide.eval(), x, noise, range(3))
        torch.testing.assert_close(found, decode_depths(narrow.eval(), x, cut, range(3)))
