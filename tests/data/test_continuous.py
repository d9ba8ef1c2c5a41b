from __future__ import annotations

import numpy as np
import pytest
import torch

from allocsearch.config import InputError
from allocsearch.data.continuous import to_continuous


@pytest.mark.parametrize("kind", ["f4", "f8", ">f8", "i8", "u2"])
def test_numbers_of_any_type_become_float32(kind):
    array = np.array([[3, 700], [0, 20_000]], dtype=kind)
    values = to_continuous(array, "f")
    assert values.dtype == torch.float32
    assert values.tolist() == [[3, 700], [0, 20_000]]


def test_images_have_their_channels_first():
    array = np.arange(24, dtype=np.float64).reshape(2, 2, 2, 3)
    values = to_continuous(array, "f")
    assert values.is_contiguous()
    np.testing.assert_array_equal(values.numpy(), array.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[1.0, 2.0], [np.nan, 1.0]]), "found NaN or an infinite value"),
        (np.array([[1.0, 2.0], [np.inf, 1.0]]), "in example 1;"),
        (np.array([[1.0, 2.0], [1e300, 1.0]]), "in example 1;"),
        (np.zeros((2, 2), bool), "found values of type bool; allowed: numbers"),
        (np.zeros(3), "found values of shape (3,)"),
        (np.zeros((0, 2)), "found values of shape (0, 2)"),
    ],
)
def test_refuses_with_what_is_allowed(array, message):
    with pytest.raises(InputError) as error:
        to_continuous(array, "file.npy")
    assert message in str(error.value)
    assert str(error.value).startswith("file.npy: ")
