from __future__ import annotations

import pytest
import torch

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.models.build import build_model
from allocsearch.models.hvae import BoundTerms
from allocsearch.models.masking import embed
from allocsearch.training.loss import charged_kl, dims_in_use, loss_of

MEANS = torch.tensor([0.5, -1.0, 3.0, 2.0])


@pytest.mark.parametrize("kind", [float, torch.tensor])
def test_charged_kl_by_hand(kind) -> None:
    assert float(charged_kl(MEANS, kind(2.0))) == 2 + 2 + 3 + 2
    assert float(charged_kl(MEANS, kind(0.75))) == 0.75 + 0.75 + 3 + 2
    assert float(charged_kl(MEANS, kind(0.0))) == 0.5 - 1 + 3 + 2


@pytest.mark.parametrize("kind", [float, torch.tensor])
def test_a_dim_within_its_free_nats_gets_no_gradient(kind) -> None:
    means = torch.tensor([0.5, 3.0], requires_grad=True)
    charged_kl(means, kind(1.0)).backward()
    assert means.grad is not None
    assert means.grad.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("free", [0.0, 0.75])
def test_a_dim_that_is_not_in_use_counts_nothing_and_gets_no_gradient(free: float) -> None:
    means = torch.tensor([0.5, 0.0, 3.0], requires_grad=True)
    charged = charged_kl(means, free, torch.tensor([1.0, 0.0, 1.0]))
    assert charged.item() == max(0.5, free) + 3
    charged.backward()
    assert means.grad is not None
    assert means.grad[1] == 0


def test_loss_and_elbo_by_hand() -> None:
    kl = (torch.tensor([[1.0, 0.0], [3.0, -1.0]]), torch.tensor([[4.0], [2.0]]))
    terms = BoundTerms(torch.tensor([-10.0, -20.0]), kl, (None, None))
    loss, elbo, rates = loss_of(terms, 0.5, 1.0)
    assert float(loss) == 15 + 0.5 * (2 + 1 + 3)
    assert float(elbo) == -15 - (2 - 0.5 + 3)
    assert float(elbo) == float(terms.bound().mean())
    assert rates.tolist() == [2 - 0.5, 3]


def test_schedules_in_tensors_give_the_loss_of_those_in_numbers() -> None:
    kl = (torch.randn(8, 5, generator=torch.Generator().manual_seed(0)),)
    terms = BoundTerms(torch.zeros(8), kl, (None,))
    for weight, free in ((0.3, 0.0), (0.7, 0.2), (1.0, 2.0)):
        numbers = loss_of(terms, weight, free)
        tensors = loss_of(terms, *map(torch.tensor, (weight, free)))
        torch.testing.assert_close(tensors, numbers, rtol=0, atol=0)


def test_a_masked_model_has_the_loss_and_the_gradient_of_the_narrow_one() -> None:
    allocation, section = Allocation((3, 2)), ModelSection(hidden=8, depth=1)
    narrow = build_model(allocation, (12,), section, 0)
    wide = build_model(allocation, (12,), section, 1, widths=(5, 4))
    embed(narrow, wide)
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 2, (6, 12), generator=generator).float()
    noise = wide.draw_noise(6, generator)
    mask = dims_in_use(wide)
    assert mask is not None
    assert mask.tolist() == [1, 1, 1, 0, 0, 1, 1, 0, 0]
    assert dims_in_use(narrow) is None
    kept = [n[:, :d] for n, d in zip(noise, allocation.dims, strict=True)]
    expected = loss_of(narrow(x, kept), 0.5, 2.0)
    found = loss_of(wide(x, noise), 0.5, 2.0, mask)
    torch.testing.assert_close(found, expected)
    expected[0].backward()
    found[0].backward()
    torch.testing.assert_close(wide.output.bias.grad, narrow.output.bias.grad)
