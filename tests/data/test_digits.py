from __future__ import annotations

import torch
from sklearn.datasets import load_digits

from allocsearch.data.digits import read_digits


def test_are_scikit_learns_rescaled_to_bytes():
    values, labels = read_digits()
    truth = load_digits()
    assert values.shape == (1797, 8, 8)
    assert values.dtype == torch.uint8
    assert torch.equal((values.double() * 16 / 255).round(), torch.from_numpy(truth.images))
    assert (values.min(), values.max()) == (0, 255)
    assert labels.tolist() == truth.target.tolist()
