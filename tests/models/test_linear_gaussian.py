"""Every inference kind on a linear Gaussian model, against the exact log evidence."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.models.build import INFERENCE_KINDS, build_model
from allocsearch.models.hvae import HVAE

A, B, S = 0.8, 0.3, 0.5  # p(z_1 | z_2) = N(A z_2 + B, S)
C = torch.tensor([1.5, -0.7, 0.4]).double()  # p(x | z_1) = N(C z_1 + D, diag R)
D = torch.tensor([0.2, -0.5, 0.1]).double()
R = torch.tensor([0.3, 0.9, 0.5]).double()

# What x alone says of z_1: its likelihood, a Gaussian in z_1.
PRECISION = float((C * C / R).sum())
WEIGHT = C / R / PRECISION
# The marginal of z_1.
VARIANCE = A * A + S


def affine(weight: Tensor, bias: Tensor, log_variance: Tensor) -> nn.Linear:
    """A head whose means are affine in its inputs and whose variances are constant."""
    head = nn.Linear(weight.shape[1], 2 * len(weight)).double()
    with torch.no_grad():
        head.weight.copy_(torch.cat([weight, torch.zeros_like(weight)]))
        head.bias.copy_(torch.cat([bias, log_variance]))
    return head


def scalar_head(weight: Tensor | float, bias: Tensor | float, variance: float) -> nn.Linear:
    row = torch.as_tensor(weight, dtype=torch.float64).reshape(1, -1)
    log_variance = torch.tensor([math.log(variance)]).double()
    return affine(row, torch.as_tensor([float(bias)]).double(), log_variance)


def exact_heads(inference: str) -> list[nn.Linear]:
    """The heads with which q(z | x) is the exact posterior."""
    if inference == "bottom_up":
        posterior = 1 / (PRECISION + 1 / VARIANCE)
        bias = posterior * (B / VARIANCE - PRECISION * float(WEIGHT @ D))
        gain = A / VARIANCE
        return [
            scalar_head(posterior * PRECISION * WEIGHT, bias, posterior),
            scalar_head(gain, -gain * B, 1 - gain * A),
        ]
    # Seen from z_2, what x says of z_1 has the noise of z_1 on top.
    noise = 1 / PRECISION + S
    posterior = 1 / (1 + A * A / noise)
    weight = posterior * A / noise * WEIGHT
    bias = posterior * A / noise * (-float(WEIGHT @ D) - B)
    return [
        scalar_head(WEIGHT, -float(WEIGHT @ D), 1 / PRECISION),
        scalar_head(weight, bias, posterior),
    ]


def linear_model(inference: str) -> HVAE:
    section = ModelSection.model_validate(
        {"inference": inference, "skip": False, "hidden": 3, "likelihood": "gaussian"}
    )
    model = build_model(Allocation((1, 1)), (3,), section, 0).double().eval()
    for stages in (model.encoder, model.decoder):
        for layer in range(2):
            stages[layer] = nn.Identity()
    model.priors[0] = scalar_head(A, B, S)
    model.output = affine(C[:, None], D, R.log())
    for layer, head in enumerate(exact_heads(inference)):
        model.posteriors[layer] = head
    return model


def examples() -> Tensor:
    return torch.randn(9, 3, generator=torch.Generator().manual_seed(0)).double()


def log_evidence(x: Tensor) -> Tensor:
    covariance = VARIANCE * torch.outer(C, C) + torch.diag(R)
    return MultivariateNormal(C * B + D, covariance).log_prob(x)


def draw(model: HVAE, samples: int) -> tuple[Tensor, ...]:
    noise = model.draw_noise(9, torch.Generator().manual_seed(1), samples)
    return tuple(part.double() for part in noise)


@pytest.mark.parametrize("inference", INFERENCE_KINDS)
def test_the_elbo_is_the_evidence_for_every_draw_where_the_posterior_is_exact(
    inference: str,
) -> None:
    model = linear_model(inference)
    bound = model(examples(), draw(model, 20)).bound()
    torch.testing.assert_close(bound, log_evidence(examples()).expand(20, 9))


@pytest.mark.parametrize("inference", INFERENCE_KINDS)
@pytest.mark.parametrize("layer", [0, 1])
def test_the_elbo_is_below_the_evidence_by_the_divergence_elsewhere(
    inference: str, layer: int
) -> None:
    model = linear_model(inference)
    with torch.no_grad():
        model.posteriors[layer].bias[0] += 0.4
        model.posteriors[layer].bias[1] += 0.5
    bounds = model(examples(), draw(model, 20_000)).bound()
    evidence = log_evidence(examples())
    error = bounds.std(0) / math.sqrt(len(bounds))
    assert (bounds.mean(0) + 4 * error < evidence).all()
    # The weights p(x, z) / q(z | x) are unbiased for p(x), whatever q is.
    weights = (bounds - evidence).exp()
    assert ((weights.mean(0) - 1).abs() < 5 * weights.std(0) / math.sqrt(len(weights))).all()
