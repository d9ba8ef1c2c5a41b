"""The real files, where this machine has them."""

from __future__ import annotations

import pytest
import torch

from allocsearch.config import DataSection, Source
from allocsearch.data.named import _find
from allocsearch.data.roots import SYSTEM_ROOT
from allocsearch.data.sources import load_source
from allocsearch.data.splits import load_search_data

pytestmark = pytest.mark.usefixtures("real_roots")


def need(name: str, split: str) -> None:
    if not _find(name, (split,)):
        pytest.skip(f"no {name} ({split}) in the folders of ALLOCSEARCH_DATA")


def test_mnist_test_part():
    need("MNIST", "test")
    dataset = load_source(Source(source="MNIST", split="test"))
    assert (len(dataset), dataset.shape) == (10_000, (28, 28))
    # The published counts of the digits 0 to 9 in the test part.
    counts = torch.bincount(dataset.labels).tolist()
    assert counts == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert dataset.labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_omniglot_background():
    need("Omniglot", "train")
    dataset = load_source(Source(source="Omniglot", split="train", invert=True))
    assert dataset.shape == (105, 105)
    assert ((dataset.values == 0) | (dataset.values == 255)).all()
    # Light strokes on dark once inverted, and 20 drawings of each character.
    assert dataset.values.float().mean() < 60
    assert set(torch.bincount(dataset.labels).tolist()) == {20}


def test_fashion_mnist_of_the_system():
    folder = SYSTEM_ROOT / "fashion-mnist"
    if not folder.is_dir():
        pytest.skip(f"no {folder}; it comes with the package dataset-fashion-mnist")
    config = DataSection.model_validate({"id": "FashionMNIST"})
    data = load_search_data(config)
    assert (len(data.train), len(data.validation)) == (55_000, 5_000)
    assert data.train.shape == (28, 28)
    counts = torch.bincount(data.train.labels) + torch.bincount(data.validation.labels)
    assert counts.tolist() == [6000] * 10
