from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.models.build import INFERENCE_KINDS, build_model
from allocsearch.models.hvae import HVAE
from allocsearch.models.masking import embed, extract

FEATURES = 7
BATCH = 5


def section(inference: str, *, skip: bool) -> ModelSection:
    return ModelSection.model_validate(
        {"inference": inference, "skip": skip, "hidden": 6, "depth": 1}
    )


def pair(dims: tuple[int, ...], room: tuple[int, ...], model: ModelSection) -> tuple[HVAE, HVAE]:
    """A narrow model and the wide one that holds its weights, in float64."""
    widths = tuple(d + more for d, more in zip(dims, room, strict=True))
    allocation = Allocation(dims)
    narrow = build_model(allocation, (FEATURES,), model, 0).double()
    wide = build_model(allocation, (FEATURES,), model, 1, widths).double()
    embed(narrow, wide)
    return narrow, wide


def inputs(model: HVAE, samples: int | None, seed: int = 3) -> tuple[Tensor, tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 2, (BATCH, FEATURES), generator=generator).double()
    return x, tuple(z.double() for z in model.draw_noise(BATCH, generator, samples))


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=4),
    inference=st.sampled_from(sorted(INFERENCE_KINDS)),
    skip=st.booleans(),
    samples=st.sampled_from([None, 3]),
)
def test_a_masked_model_computes_what_the_narrow_one_does(
    sizes: list[tuple[int, int]], inference: str, skip: bool, samples: int | None
) -> None:
    dims, room = zip(*sizes, strict=True)
    narrow, wide = pair(dims, room, section(inference, skip=skip))
    x, noise = inputs(wide, samples)
    cut = [z[..., :d] for z, d in zip(noise, dims, strict=True)]
    latents, expected = wide.infer(x, noise), narrow.infer(x, cut)
    for latent, own, d in zip(latents, expected, dims, strict=True):
        torch.testing.assert_close(latent.z[..., :d], own.z)
        assert not latent.z[..., d:].any()
        torch.testing.assert_close(latent.posterior.log_var[..., :d], own.posterior.log_var)
    for k in range(len(dims)):
        for analytic in (False, True):
            found = wide.bound_terms(x, latents, k, analytic=analytic)
            truth = narrow.bound_terms(x, expected, k, analytic=analytic)
            torch.testing.assert_close(found.bound(), truth.bound())
            for masked, own, d in zip(found.kl, truth.kl, dims[k:], strict=True):
                torch.testing.assert_close(masked[..., :d], own)
                assert not masked[..., d:].any()
    drawn = [wide.likelihood.log_prob(wide.generate([z.z for z in latents]).parameters, x)]
    drawn += [narrow.likelihood.log_prob(narrow.generate([z.z for z in expected]).parameters, x)]
    torch.testing.assert_close(*drawn)


@pytest.mark.parametrize("inference", INFERENCE_KINDS)
@pytest.mark.parametrize("skip", [True, False])
def test_gradients_are_those_of_the_narrow_model_and_none_elsewhere(
    inference: str, skip: bool
) -> None:
    narrow, wide = pair((3, 2, 1), (2, 0, 3), section(inference, skip=skip))
    x, noise = inputs(wide, None)
    cut = [z[..., :d] for z, d in zip(noise, (3, 2, 1), strict=True)]
    wide(x, noise).bound().mean().backward()
    narrow(x, cut).bound().mean().backward()
    # The gradients take the weights' places: what `extract` leaves out must be zero.
    total = 0.0
    for model in (narrow, wide):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(parameter.grad)
    held = build_model(narrow.allocation, (FEATURES,), section(inference, skip=skip), 5).double()
    extract(wide, held)
    for found, expected in zip(held.parameters(), narrow.parameters(), strict=True):
        torch.testing.assert_close(found, expected)
        total += float(expected.detach().abs().sum())
    assert float(sum(p.detach().abs().sum() for p in wide.parameters())) == pytest.approx(total)


def test_weights_go_in_and_out_unchanged() -> None:
    model = section("bottom_up", skip=True)
    narrow, wide = pair((3, 1), (1, 4), model)
    other = build_model(narrow.allocation, (FEATURES,), model, 9).double()
    extract(wide, other)
    for found, expected in zip(other.parameters(), narrow.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_a_wide_model_of_another_allocation_is_refused() -> None:
    model = section("bottom_up", skip=True)
    narrow = build_model(Allocation((3, 1)), (FEATURES,), model, 0)
    wide = build_model(Allocation((1, 3)), (FEATURES,), model, 0, (4, 4))
    with pytest.raises(ValueError, match="3-1 is no narrow form of 1-3"):
        embed(narrow, wide)


@pytest.mark.parametrize("widths", [(2, 4), (4,), (4, 4, 4)])
def test_widths_without_room_are_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="have no room for 3-1"):
        build_model(Allocation((3, 1)), (FEATURES,), section("bottom_up", skip=True), 0, widths)


CONV = {
    "blocks": "conv",
    "channels": 4,
    "depth": 1,
    "kernels": [3, 3],
    "strides": [2, 1],
}


@pytest.mark.parametrize("latents", [["spatial", "spatial"], ["spatial", "dense"], ["dense"]])
@pytest.mark.parametrize("inference", INFERENCE_KINDS)
@pytest.mark.parametrize("skip", [True, False])
def test_masked_maps_compute_what_narrow_ones_do(
    latents: list[str], inference: str, skip: bool
) -> None:
    section = ModelSection.model_validate(
        {**CONV, "latents": latents, "inference": inference, "skip": skip}
    )
    # The map of both layers has 2 x 2 positions.
    dims, widths = (4, 8), (12, 16)
    narrow = build_model(Allocation(dims), (4, 4), section, 0).double()
    wide = build_model(Allocation(dims), (4, 4), section, 1, widths).double()
    embed(narrow, wide)
    generator = torch.Generator().manual_seed(3)
    x = torch.randint(0, 2, (BATCH, 16), generator=generator).double()
    noise = tuple(z.double() for z in wide.draw_noise(BATCH, generator, 2))
    cut = [z[..., :d] for z, d in zip(noise, dims, strict=True)]
    latents_wide, latents_narrow = wide.infer(x, noise), narrow.infer(x, cut)
    for k in range(2):
        torch.testing.assert_close(
            wide.bound_terms(x, latents_wide, k).bound(),
            narrow.bound_terms(x, latents_narrow, k).bound(),
        )
    held = build_model(Allocation(dims), (4, 4), section, 5).double()
    extract(wide, held)
    for found, expected in zip(held.parameters(), narrow.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_a_channel_is_not_cut() -> None:
    section = ModelSection.model_validate({**CONV, "latents": ["spatial", "dense"]})
    narrow = build_model(Allocation((4, 2)), (4, 4), section, 0)
    wide = build_model(Allocation((4, 2)), (4, 4), section, 0, (8, 2))
    wide.allocation = narrow.allocation = Allocation((6, 2))
    with pytest.raises(ValueError, match="6 dims are no multiple of 4"):
        embed(narrow, wide)
