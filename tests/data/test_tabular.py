from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_wine

from allocsearch.data.tabular import TABLES, read_table


@pytest.mark.parametrize(
    ("name", "load"), [("wine", load_wine), ("breast_cancer", load_breast_cancer)]
)
def test_are_scikit_learns(name, load):
    values, labels = read_table(name)
    truth = load()
    assert values.dtype == torch.float32
    np.testing.assert_allclose(values.numpy(), truth.data, rtol=1e-6)
    assert labels.tolist() == truth.target.tolist()


def test_registry():
    assert set(TABLES) == {"wine", "breast_cancer"}
