from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from allocsearch.config import InputError
from allocsearch.data.pixels import to_labels, to_values


@settings(derandomize=True, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(*[st.integers(1, 4)] * 3)))
def test_bytes_stay_and_floats_are_scaled_back_to_them(array):
    assert torch.equal(to_values(array, "f"), torch.from_numpy(array))
    for kind in ("f4", ">f4", "f8"):
        scaled = (array / 255).astype(kind)
        assert torch.equal(to_values(scaled, "f"), torch.from_numpy(array))


def test_channels_first_or_last_give_the_same(pictures):
    first = pictures(2, 3, 5, 4)
    last = first.transpose(0, 2, 3, 1)
    assert torch.equal(to_values(first, "f"), torch.from_numpy(first))
    assert torch.equal(to_values(last, "f"), torch.from_numpy(first))
    assert to_values(last, "f").is_contiguous()


def test_one_channel_is_grey(pictures):
    grey = pictures(2, 5, 4)
    assert torch.equal(to_values(grey[:, None], "f"), torch.from_numpy(grey))
    assert torch.equal(to_values(grey[..., None], "f"), torch.from_numpy(grey))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3), np.int64), "found values of type int64; allowed: uint8, or floats"),
        (np.zeros((2, 3), bool), "found values of type bool"),
        (np.full((2, 3), 1.5), "found floats from 1.5 to 1.5"),
        (np.array([[-0.1, 1.0]]), "found floats from -0.1 to 1"),
        (np.array([[np.nan, 1.0]]), "found floats from nan"),
        (np.zeros(3, np.uint8), r"found values of shape (3,)"),
        (np.zeros((0, 3), np.uint8), r"found values of shape (0, 3)"),
        (np.zeros((1, 2, 4, 4), np.uint8), "1 or 3 channels"),
    ],
)
def test_refuses_with_what_is_allowed(array, message):
    with pytest.raises(InputError) as error:
        to_values(array, "file.npy")
    assert message in str(error.value)
    assert str(error.value).startswith("file.npy: ")


def test_labels_are_one_integer_per_example():
    assert to_labels(np.array([3, 1], np.uint8), 2, "f").tolist() == [3, 1]
    for array in (np.array([3.0, 1.0]), np.array([3]), np.array([[3, 1]])):
        with pytest.raises(InputError, match=r"f: found labels .* shape \(2,\)"):
            to_labels(array, 2, "f")
