from __future__ import annotations

import pytest
import torch

from allocsearch.config import InputError, TrainingSection
from allocsearch.training.device import device_of, product_precision, products_in

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("wanted", "gpu", "expected"),
    [("auto", True, GPU), ("auto", False, CPU), ("cpu", True, CPU), ("cuda", True, GPU)],
)
def test_auto_is_a_gpu_where_there_is_one(monkeypatch, wanted, gpu, expected) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert device_of(TrainingSection(device=wanted)) == expected


def test_a_gpu_that_is_not_there_is_one_clear_line(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"^training\.device: found 'cuda', but no GPU.*cpu$"):
        device_of(TrainingSection(device="cuda"))


def test_products_are_in_bfloat16_by_default_on_a_gpu_alone() -> None:
    section = TrainingSection()
    assert product_precision(section, CPU) == torch.float32
    assert product_precision(section, GPU) == torch.bfloat16
    for name in ("float32", "bfloat16"):
        wanted = section.model_copy(update={"precision": name})
        assert {product_precision(wanted, d) for d in (CPU, GPU)} == {getattr(torch, name)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_have_the_precision_and_sums_of_logarithms_do_not(dtype: torch.dtype) -> None:
    a = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    with products_in(dtype, CPU):
        assert (a @ a).dtype == dtype
        assert a.exp().sum().dtype == torch.float32
    assert (a @ a).dtype == torch.float32
