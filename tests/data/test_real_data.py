"""The real files, where this machine has them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from allocsearch.config import DataSection, InputError, Source, load
from allocsearch.data.named import _find
from allocsearch.data.roots import SYSTEM_ROOT, find_path
from allocsearch.data.sources import load_source
from allocsearch.data.splits import load_search_data, load_test_data

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


def distinct_kmers(tokens):
    """Which 3-mers of known residues each sequence has, a 0/1 matrix `(n, 20 ** 3)`."""
    windows = np.lib.stride_tricks.sliding_window_view(tokens.numpy().astype(np.int64), 3, axis=1)
    known = ((windows >= 1) & (windows <= 20)).all(2)
    row = np.broadcast_to(np.arange(len(tokens))[:, None], known.shape)[known]
    column = (windows[known] - 1) @ [400, 20, 1]
    ones = np.ones(len(row), np.float32)
    found = csr_array((ones, (row, column)), shape=(len(tokens), 8000))
    found.sum_duplicates()
    found.data[:] = 1
    return found


def highest_identity(one, other):
    """The largest share of 3-mers that a sequence of one set has in common with one of another.

    Of the distinct 3-mers of whichever has fewer, so that it is the larger one of two shares.
    """
    # A product with what is not sparse is the faster one.
    columns = np.ascontiguousarray(one.toarray().T)
    highest = 0.0
    for start in range(0, other.shape[0], 2000):
        rows = other[start : start + 2000]
        common = rows @ columns
        shares = (common.max(0) / columns.sum(0)).max(), (common.max(1) / rows.sum(1)).max()
        highest = max(highest, *map(float, shares))
    return highest


def test_held_out_proteins_are_unlike_those_of_train():
    """The split of studies/protein.toml, by brute force: every sequence of each pair of parts."""
    try:
        path = find_path("pfam.fasta.gz")
    except InputError as error:
        pytest.skip(str(error))
    study = load(Path(__file__).parents[2] / "studies" / "protein.toml").data
    assert study.id.path == (path.name,)
    data, test = load_search_data(study), load_test_data(study)
    held_out = (data.validation, test.test)
    assert [len(part) for part in held_out] == [1000, 1000]
    assert len(data.train) == 21_737 - 2_000
    parts = [distinct_kmers(part.values) for part in (*held_out, data.train)]
    assert all(0 < highest_identity(*pair) < study.identity for pair in combinations(parts, 2))
    # The families of the file, as its README counts them.
    assert sum(len(each) for each in test.ood_test) == 50 + 1_208
    assert len(test.ood_test) == 22
    assert {each.shape for each in (data.train, *data.ood_validation, *test.ood_test)} == {(95,)}
