from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, ModelSection
from allocsearch.models.blocks.conv import ConvBlocks
from allocsearch.models.build import INFERENCE_KINDS, build_model
from allocsearch.models.granularity import granularity
from allocsearch.models.likelihoods import build_likelihood


def section(**more: object) -> ModelSection:
    return ModelSection.model_validate({"blocks": "conv1d", "channels": 4, "depth": 1, **more})


def tokens(**more: object) -> ModelSection:
    ids = {"likelihood": "categorical", "one_hot": True, "levels": 6, "pad": 0, "embedding": 3}
    return section(**ids, **more)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return functional.conv1d(x, weight[..., None], bias)


def random(*size: int) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("length", "stride"), [(12, 2), (13, 2), (13, 3), (5, 1)])
def test_the_stages_are_convolutions_along_the_sequence(length: int, stride: int) -> None:
    own = section(kernels=[5], strides=[stride], likelihood="gaussian")
    blocks = ConvBlocks((2, 2), build_likelihood((length,), own), own)
    stage = blocks.encoder(1, reads_latent=False)[0]
    x = random(2, length, 4)
    found = stage(x[:, None])[:, 0].movedim(-1, 1)
    planes = x.movedim(-1, 1)
    weight, bias = stage.convolution.weight, stage.convolution.bias
    hidden = functional.conv1d(planes, weight.squeeze(2), bias, stride, padding=2)
    expected = pointwise(functional.silu(hidden), stage.pointwise.weight) + planes[..., ::stride]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("length", "stride"), [(12, 2), (13, 2), (13, 3), (5, 1)])
def test_the_output_is_a_transposed_convolution(length: int, stride: int) -> None:
    own = section(strides=[stride], likelihood="gaussian")
    output = ConvBlocks((2, 2), build_likelihood((length,), own), own).output()
    maps = random(2, -(-length // stride), 4)
    found = output(maps[:, None]).view(2, 2, length)
    linear = output.upsampling
    weight = linear.weight.view(stride, 2, 4).permute(2, 1, 0)
    bias = linear.bias.view(stride, 2).t().repeat(1, maps.shape[1])
    expected = functional.conv_transpose1d(maps.movedim(-1, 1), weight, stride=stride) + bias
    torch.testing.assert_close(found, expected[..., :length])


def test_the_granularity_is_the_positions_of_the_map() -> None:
    own = section(strides=[2, 2, 1], latents=["spatial", "spatial", "dense"])
    assert granularity((13,), own, 3) == (7, 4, 1)


@pytest.mark.parametrize("latents", [["spatial", "dense"], ["spatial"], ["dense"]])
@pytest.mark.parametrize("inference", INFERENCE_KINDS)
@pytest.mark.parametrize("skip", [True, False])
def test_every_weight_gets_a_gradient(latents: list[str], inference: str, skip: bool) -> None:
    own = tokens(latents=latents, inference=inference, skip=skip, strides=[2, 3])
    units = granularity((13,), own, 2)
    model = build_model(Allocation((2 * units[0], units[1])), (13,), own, 0)
    values = torch.randint(1, 6, (8, 13), generator=torch.Generator().manual_seed(0)).byte()
    x = model.likelihood.prepare(values, torch.Generator())
    noise = model.draw_noise(8, torch.Generator().manual_seed(1), 2)
    model(x, noise).bound().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_more_pads_change_no_likelihood_of_a_fully_convolutional_model() -> None:
    # Of the upper layer one channel on 32 and 24 positions.
    own = tokens(latents=["spatial"], strides=[1], kernels=[3])
    short, long = (build_model(Allocation((t, t)), (t,), own, 0).eval() for t in (24, 32))
    long.load_state_dict(short.state_dict())
    values = torch.zeros(3, 32, dtype=torch.uint8)
    values[:, :10] = torch.randint(1, 6, (3, 10), generator=torch.Generator().manual_seed(0))
    noise = long.draw_noise(3, torch.Generator().manual_seed(1))
    found = []
    for model, t in ((short, 24), (long, 32)):
        x = model.likelihood.prepare(values[:, :t], torch.Generator())
        found.append(model(x, [e[:, :t].contiguous() for e in noise]))
    # The end is further from the residues than any convolution reaches.
    torch.testing.assert_close(found[0].log_likelihood, found[1].log_likelihood)
    for ours, theirs in zip(found[0].kl, found[1].kl, strict=True):
        torch.testing.assert_close(ours[:, :10], theirs[:, :10])


def test_features_that_are_no_tokens() -> None:
    for likelihood, values in (("gaussian", random(4, 13)), ("bernoulli", random(4, 13) > 0)):
        own = section(likelihood=likelihood)
        model = build_model(Allocation((4, 2)), (13,), own, 0)
        noise = model.draw_noise(4, torch.Generator().manual_seed(1))
        assert model(values.float(), noise).bound().isfinite().all()


@pytest.mark.parametrize("shape", [(8, 8), (3, 8, 8)])
def test_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        InputError, match=r"found 'conv1d' for examples of shape .*'conv' for images"
    ):
        build_model(Allocation((4, 2)), shape, section(), 0)
