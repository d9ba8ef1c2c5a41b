from __future__ import annotations

import pytest

from allocsearch.config import InputError, ModelSection
from allocsearch.models.granularity import granularity


@pytest.mark.parametrize(
    ("shape", "changes", "expected"),
    [
        ((28, 28), {"latents": ["spatial", "dense", "dense"]}, (196, 1, 1)),
        ((28, 28), {"latents": "spatial", "strides": [2, 2, 1]}, (196, 49, 49)),
        ((3, 32, 32), {"latents": "spatial"}, (256, 64, 16)),
        ((7, 9), {"latents": "spatial"}, (4 * 5, 2 * 3, 1 * 2)),
        ((28, 28), {}, (1, 1, 1)),
    ],
)
def test_a_spatial_layer_takes_the_positions_of_its_map(shape, changes, expected):
    section = ModelSection.model_validate({"blocks": "conv", **changes})
    assert granularity(shape, section, 3) == expected


def test_dense_blocks_take_single_dims_of_any_data():
    assert granularity((30,), ModelSection(), 4) == (1, 1, 1, 1)


def test_vectors_have_no_maps():
    with pytest.raises(InputError, match=r"found 'conv' for examples of shape \(30,\)"):
        granularity((30,), ModelSection(blocks="conv"), 2)
