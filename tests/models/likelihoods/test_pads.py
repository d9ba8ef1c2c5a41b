from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical as Reference
from torch.distributions import Normal

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.models.build import INFERENCE_KINDS, build_model
from allocsearch.models.likelihoods.categorical import Categorical

LEVELS, LENGTHS = 6, (13, 9, 1, 4)


def sequences(pad: int = 0, length: int = 13) -> Tensor:
    """Sequences of `LENGTHS`, filled up."""
    generator = torch.Generator().manual_seed(0)
    residues = [token for token in range(LEVELS) if token != pad]
    chosen = torch.randint(LEVELS - 1, (len(LENGTHS), length), generator=generator)
    beyond = torch.arange(length) >= torch.tensor(LENGTHS)[:, None]
    return torch.tensor(residues)[chosen].masked_fill(beyond, pad).byte()


def likelihood(pad: int, *shape: int) -> Categorical:
    return Categorical(shape or (13,), LEVELS, one_hot=True, pad=pad)


@pytest.mark.parametrize("pad", [0, 3, LEVELS - 1])
def test_the_sum_is_over_residues_position_by_position(pad: int) -> None:
    own = likelihood(pad)
    x = own.prepare(sequences(pad), torch.Generator())
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, len(x), LEVELS - 1, 13, generator=generator, dtype=torch.float64)
    found = own.log_prob(logits.flatten(-2), x.double())
    residues = [token for token in range(LEVELS) if token != pad]
    for draw, row in itertools.product(range(3), range(len(x))):
        total = torch.zeros((), dtype=torch.float64)
        for place in range(LENGTHS[row]):
            choice = Reference(logits=logits[draw, row, :, place])
            total += choice.log_prob(torch.tensor(residues.index(int(x[row, place]))))
        torch.testing.assert_close(found[draw, row], total)
    assert own.modelled(x).tolist() == list(LENGTHS)


def test_probabilities_of_all_sequences_of_a_length_sum_to_one() -> None:
    own = likelihood(2, 4)
    words = itertools.product([0, 1, 3, 4, 5], repeat=3)
    x = torch.tensor([[*word, 2] for word in words]).double()
    parameters = torch.randn(20, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(own.log_prob(parameters, x).exp().sum(), torch.ones(()).double())


@pytest.mark.parametrize("pad", [0, LEVELS - 1])
def test_the_gradient_at_pads_is_exactly_zero(pad: int) -> None:
    own = likelihood(pad)
    x = own.prepare(sequences(pad), torch.Generator())
    logits = torch.full((len(x), LEVELS - 1, 13), 1e4).requires_grad_()
    (gradient,) = torch.autograd.grad(own.log_prob(logits.flatten(1), x).sum(), logits)
    assert torch.equal((gradient != 0).any(1), x != pad)


@pytest.mark.parametrize("embedding", [None, 5])
@pytest.mark.parametrize("blocks", ["dense", "conv1d"])
def test_the_encoder_sees_zeros_at_pads(blocks: str, embedding: int | None) -> None:
    section = model_section(blocks, embedding=embedding)
    model = build_model(Allocation((4, 2)), (13,), section, 0)
    x = model.likelihood.prepare(sequences(), torch.Generator())
    seen = model.likelihood.encode(x)
    if embedding is not None:
        seen = model.encoder[0][0](seen)
    seen = seen.reshape(len(x), embedding or LEVELS, 13)
    assert torch.equal((seen != 0).any(1), x != 0)
    # The same vector for the same token, wherever it is.
    first = seen.movedim(1, -1)[x == 3]
    assert torch.equal(first, first[:1].expand_as(first))


def test_the_marginal_model_counts_residues_alone() -> None:
    own = likelihood(0)
    values = sequences()
    logits = own.marginal_parameters(values).reshape(LEVELS - 1, 13)
    for place, token in itertools.product(range(13), range(1, LEVELS)):
        count = int((values[:, place] == token).sum())
        there = sum(length > place for length in LENGTHS)
        expected = (count + 0.5) / (there + 0.5 * (LEVELS - 1))
        found = logits[:, place].softmax(0)[token - 1]
        assert float(found) == pytest.approx(expected)


def model_section(blocks: str, **more: object) -> ModelSection:
    sizes = {"hidden": 8} if blocks == "dense" else {"channels": 4, "kernels": [3], "strides": [2]}
    tokens = {"likelihood": "categorical", "one_hot": True, "levels": LEVELS, "pad": 0}
    return ModelSection.model_validate({"blocks": blocks, "depth": 1, **sizes, **tokens, **more})


@pytest.mark.parametrize("inference", INFERENCE_KINDS)
@pytest.mark.parametrize("blocks", ["dense", "conv1d"])
def test_the_elbo_equals_an_independent_computation(blocks: str, inference: str) -> None:
    section = model_section(blocks, inference=inference, embedding=3)
    model = build_model(Allocation((4, 2)), (13,), section, 0).double()
    values = sequences()
    x = model.likelihood.prepare(values, torch.Generator()).double()
    noise = [e.double() for e in model.draw_noise(len(x), torch.Generator().manual_seed(1))]
    latents = model.infer(x, noise)
    generated = model.generate([latent.z for latent in latents])
    logits = generated.parameters.reshape(len(x), LEVELS - 1, 13)
    found = model(x, noise).bound()
    for row, length in enumerate(LENGTHS):
        elbo = torch.zeros((), dtype=torch.float64)
        for place in range(length):
            token = values[row, place].long()
            elbo += Reference(logits=logits[row, :, place]).log_prob(token - 1)
        for latent, prior in zip(latents, generated.priors, strict=True):
            q = Normal(latent.posterior.mean[row], (latent.posterior.log_var[row] / 2).exp())
            p = (
                Normal(0, 1)
                if prior is None
                else Normal(prior.mean[row], (prior.log_var[row] / 2).exp())
            )
            elbo -= (q.log_prob(latent.z[row]) - p.log_prob(latent.z[row])).sum()
        torch.testing.assert_close(found[row], elbo)
