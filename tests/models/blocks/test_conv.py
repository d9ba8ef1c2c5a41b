from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal
from torch.nn import functional

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, ModelSection, TrainingSection
from allocsearch.models.blocks.conv import ConvBlocks
from allocsearch.models.build import build_model
from allocsearch.models.granularity import granularity
from allocsearch.models.hvae import HVAE
from allocsearch.models.likelihoods import build_likelihood
from allocsearch.training.loop import train

KINDS = [("spatial", "dense", "dense"), ("spatial",) * 3, ("dense", "spatial", "dense")]


def conv_model(
    shape: tuple[int, ...], latents: tuple[str, ...], channels: int = 3, **more: object
) -> HVAE:
    """A small model: one channel for each spatial latent, or as many as the layer's index."""
    section = ModelSection.model_validate(
        {
            "blocks": "conv",
            "channels": channels,
            "depth": 2,
            "kernels": [5, 3, 3],
            "strides": [2, 2, 1],
            "latents": list(latents),
            **more,
        }
    )
    units = granularity(shape, section, 3)
    dims = tuple(unit * layer for layer, unit in enumerate(units, 1))
    return build_model(Allocation(dims), shape, section, 0).eval()


def noise_of(model: HVAE, *lead: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn((*lead, d), generator=generator) for d in model.allocation.dims]


def binary(n: int, features: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 2, (n, features), generator=generator).float()


@pytest.mark.parametrize(
    ("shape", "latents"), list(zip([(28, 28), (7, 9), (2, 32, 32)], KINDS, strict=True))
)
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("inference", ["bottom_up", "top_down"])
def test_leading_dimensions_are_independent_draws(shape, latents, skip, inference) -> None:
    model = conv_model(shape, latents, skip=skip, inference=inference)
    features = model.likelihood.features
    x, noise = binary(2, features), noise_of(model, 2, 1, 2)
    latent = model.infer(x, noise)
    for z, d in zip(latent, model.allocation.dims, strict=True):
        assert z.z.shape == (2, 1, 2, d)
    first = model.order[0]
    assert latent[first].posterior.mean.shape == (2, model.allocation.dims[first])
    assert model.generate([z.z for z in latent]).parameters.shape == (2, 1, 2, features)
    for k in range(3):
        bounds = model.bound_terms(x, latent, k).bound()
        for s, i in itertools.product(range(2), range(2)):
            one = model.infer(x[i : i + 1], [e[s, 0, i : i + 1] for e in noise])
            single = model.bound_terms(x[i : i + 1], one, k).bound()
            torch.testing.assert_close(bounds[s, 0, i : i + 1], single, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("latents", KINDS)
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("inference", ["bottom_up", "top_down"])
def test_gradients_reach_every_parameter(latents, skip, inference) -> None:
    model = conv_model((2, 7, 9), latents, skip=skip, inference=inference)
    x = binary(4, model.likelihood.features)
    model(x, noise_of(model, 4)).bound().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


# The model written out with torch's own layout, channels before height and width.


def block(weights: dict[str, Tensor], name: str, x: Tensor, stride: int) -> Tensor:
    kernel = weights[f"{name}.convolution.weight"]
    bias = weights[f"{name}.convolution.bias"]
    branch = functional.conv2d(x, kernel, bias, stride, kernel.shape[-1] // 2)
    pointwise = weights[f"{name}.pointwise.weight"][..., None, None]
    branch = functional.conv2d(functional.silu(branch), pointwise)
    return branch + x[..., ::stride, ::stride] if x.shape[1] == branch.shape[1] else branch


def pointwise(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    weight = weights[f"{name}.weight"][..., None, None]
    return functional.conv2d(x, weight, weights[f"{name}.bias"])


def upsampled(weights: dict[str, Tensor], name: str, x: Tensor, size: tuple[int, int]) -> Tensor:
    weight = weights[f"{name}.weight"]
    channels = weight.shape[0] // 4
    kernel = weight.view(2, 2, channels, -1).permute(3, 2, 0, 1)
    maps = functional.conv_transpose2d(x, kernel, stride=2)
    bias = weights[f"{name}.bias"].view(2, 2, channels).permute(2, 0, 1)
    maps = maps + bias.repeat(1, x.shape[-2], x.shape[-1])
    return maps[..., : size[0], : size[1]]


def normal(parameters: Tensor) -> Normal:
    mean, log_var = parameters.flatten(1).chunk(2, dim=1)
    return Normal(mean, torch.exp(0.5 * log_var))


@pytest.mark.parametrize("k", [0, 1])
def test_bounds_equal_those_written_out(k) -> None:
    section = ModelSection.model_validate(
        {
            "blocks": "conv",
            "channels": 3,
            "depth": 1,
            "kernels": [5, 3],
            "latents": ["spatial", "spatial"],
        }
    )
    model = build_model(Allocation((40, 6)), (2, 7, 9), section, 0).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    x = binary(4, 2 * 63).double()
    noise = [e.double() for e in noise_of(model, 4)]
    w = dict(model.state_dict())
    h1 = block(w, "encoder.0.1.0", x.view(4, 2, 7, 9), 2)
    q1 = normal(pointwise(w, "posteriors.0.pointwise", h1))
    z1 = q1.mean + q1.stddev * noise[0]
    h2 = block(w, "encoder.1.0", h1, 2)
    below = pointwise(w, "posteriors.1.below.0.pointwise", z1.view(4, 2, 4, 5))
    joined = h2 + block(w, "posteriors.1.below.1", below, 2)
    q2 = normal(pointwise(w, "posteriors.1.pointwise", joined))
    z2 = q2.mean + q2.stddev * noise[1]
    g2 = block(
        w,
        "decoder.1.blocks.0",
        pointwise(w, "decoder.1.embedding.pointwise", z2.view(4, 1, 2, 3)),
        1,
    )
    g2 = upsampled(w, "decoder.1.upsampling", g2, (4, 5))
    p1 = normal(pointwise(w, "priors.0.pointwise", g2))
    used = z1 if k == 0 else p1.mean
    g1 = pointwise(w, "decoder.0.embedding.pointwise", used.view(4, 2, 4, 5)) + g2
    g1 = block(w, "decoder.0.blocks.0", g1, 1)
    logits = upsampled(w, "output.upsampling", g1, (7, 9)).flatten(1)
    kls = [q.log_prob(z) - p.log_prob(z) for q, p, z in ((q1, p1, z1), (q2, Normal(0, 1), z2))]
    terms = model.bound_terms(x, model.infer(x, noise), k)
    torch.testing.assert_close(terms.log_likelihood, Bernoulli(logits=logits).log_prob(x).sum(1))
    for found, expected in zip(terms.kl, kls[k:], strict=True):
        torch.testing.assert_close(found, expected)


def test_without_skips_a_posterior_depends_on_the_layer_below_alone() -> None:
    for skip in (True, False):
        model = conv_model((8, 8), ("spatial", "spatial", "dense"), skip=skip)
        z = noise_of(model, 2)
        first, second = (model.posteriors_given(binary(4, 64)[i : i + 2], z) for i in (0, 2))
        for one, other in zip(first[1:], second[1:], strict=True):
            assert torch.allclose(one.mean, other.mean) is not skip


@pytest.mark.parametrize("inference", ["bottom_up", "top_down"])
def test_training_raises_the_elbo(inference) -> None:
    model = conv_model((8, 8), ("spatial", "dense", "dense"), channels=8, inference=inference)
    rows = torch.arange(8).view(1, 8, 1).expand(256, 8, 8)
    edges = torch.randint(0, 9, (256, 1, 1), generator=torch.Generator().manual_seed(0))
    values = ((rows < edges) * 255).to(torch.uint8)
    history = train(model, values, TrainingSection(epochs=8, batch_size=32, free_nats=0.0), 0)
    assert history[-1].elbo > history[0].elbo + 10


@pytest.mark.parametrize(
    ("shape", "dims", "changes", "expected"),
    [
        ((30,), (4, 4), {}, "model.blocks: found 'conv' for examples of shape (30,); allowed: "),
        (
            (8, 8),
            (17, 4),
            {"latents": ["spatial", "dense"]},
            "layer 1: found 17 dims of a spatial latent; allowed: multiples of 16, ",
        ),
        (
            (8, 8),
            (4, 4),
            {"kernels": [3, 3, 3]},
            "model.kernels: found 3 values; allowed: one for all layers, or 2, one for each",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(shape, dims, changes, expected) -> None:
    section = ModelSection.model_validate({"blocks": "conv", **changes})
    with pytest.raises(InputError) as caught:
        build_model(Allocation(dims), shape, section, 0)
    assert str(caught.value).startswith(expected)


def test_weights_of_latents_know_their_parts() -> None:
    section = ModelSection.model_validate(
        {"blocks": "conv", "channels": 4, "latents": ["spatial", "dense"]}
    )
    blocks = ConvBlocks((32, 5), build_likelihood((8, 8), section), section)
    head = blocks.posterior(0, joins_latent=False).pointwise
    assert [(p.size, p.layer, p.unit) for p in head.outputs] == [(2, 0, 16)] * 2
    embedding = blocks.decoder(0, joins_hidden=True).embedding.pointwise
    assert [(p.size, p.layer, p.unit) for p in embedding.inputs] == [(2, 0, 16)]
    dense = blocks.posterior(1, joins_latent=True).linear
    assert [(p.size, p.layer, p.unit) for p in dense.inputs] == [(16, None, 1), (32, 0, 1)]
    assert [(p.size, p.layer, p.unit) for p in dense.outputs] == [(5, 1, 1)] * 2
