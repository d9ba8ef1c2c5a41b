from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.data.segments import segments


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70))
def test_patches_are_square_disjoint_and_leave_less_than_one_side(height, width):
    parts = segments((height, width))
    side = max(1, min(height, width) // 4)
    assert parts.shape == ((height // side) * (width // side), side**2)
    assert len(parts.unique()) == parts.numel()
    rows, columns = parts // width, parts % width
    assert 0 <= int(rows.min()) <= int(rows.max()) < height
    assert torch.equal(rows.amax(1) - rows.amin(1), torch.full((len(parts),), side - 1))
    assert torch.equal(columns.amax(1) - columns.amin(1), torch.full((len(parts),), side - 1))


@pytest.mark.parametrize(("size", "side"), [(8, 2), (28, 7), (32, 8)])
def test_usual_images_are_covered_by_sixteen_patches(size, side):
    parts = segments((3, size, size))
    assert parts.shape == (16, side**2)
    assert len(parts.unique()) == size**2


def test_the_first_patch_is_the_upper_left_one():
    assert segments((8, 8))[0].tolist() == [0, 1, 8, 9]
    assert segments((8, 8))[1].tolist() == [2, 3, 10, 11]


def test_sequences_are_cut_into_runs():
    assert segments((32,)).tolist() == [[2 * i, 2 * i + 1] for i in range(16)]
    # 35 = 17 runs of 2 and one position left over at the end.
    assert segments((35,)).shape == (17, 2)
