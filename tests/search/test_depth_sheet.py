from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.data.seeding import generator
from allocsearch.models.build import build_model
from allocsearch.models.depths import decode_depths
from allocsearch.models.hvae import HVAE
from allocsearch.search.depth_sheet import depth_sheet
from allocsearch.search.depths import depth_rows


def model_of(shape: tuple[int, ...], dims: tuple[int, ...] = (4, 2), **section: object) -> HVAE:
    found = ModelSection.model_validate({"hidden": 8, "depth": 1, **section})
    return build_model(Allocation(dims), shape, found, 0).eval()


def pixels(*shape: int) -> torch.Tensor:
    source = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, generator=source, dtype=torch.uint8)


def opened(content: bytes | None) -> np.ndarray:
    assert content is not None
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def test_it_has_the_examples_and_what_each_depth_makes_of_them() -> None:
    model, values = model_of((8, 8)), pixels(20, 8, 8)
    sheet = opened(depth_sheet(model, values, 3))
    # 8 columns, the examples and k = 0, 1, 2; each pixel of the data four times as large.
    assert sheet.shape == (4 * 36, 8 * 36, 2)
    cells = sheet.reshape(4, 36, 8, 36, 2)
    inner = cells[:, 2:34, :, 2:34]
    assert (inner[..., 1] == 255).all()
    assert (cells[:, [0, 1, 34, 35], ..., 1] == 0).all()
    found = inner[:, ::4, :, ::4, 0].transpose(0, 2, 1, 3)
    np.testing.assert_array_equal(inner[:, 1::4, :, 3::4, 0].transpose(0, 2, 1, 3), found)
    np.testing.assert_array_equal(found[0], values[:8].numpy())
    source = generator(3, "depths")
    x = model.likelihood.prepare(values[:8], source)
    with torch.inference_mode():
        expected = decode_depths(model, x, model.draw_noise(8, source), range(3))
    np.testing.assert_array_equal(found[1:].reshape(3, 8, 64), expected.round().numpy())


def test_colours_stay_in_their_channels() -> None:
    values = torch.zeros(3, 3, 40, 24, dtype=torch.uint8)
    values[0, 0], values[1, 1], values[2, 2] = 255, 255, 255
    model = model_of((3, 40, 24), likelihood="logistic_mixture", mixtures=2)
    sheet = opened(depth_sheet(model, values, 0))
    # There are three examples only.
    assert sheet.shape == (4 * 44, 3 * 28, 4)
    for column in range(3):
        expected = [255 if channel == column else 0 for channel in range(3)]
        assert sheet[20, 28 * column + 14].tolist() == [*expected, 255]


def test_the_same_seed_gives_the_same_bytes_and_nothing_else_is_drawn_from() -> None:
    model, values = model_of((8, 8)), pixels(8, 8, 8)
    before = torch.get_rng_state()
    first = depth_sheet(model, values, 3)
    assert torch.equal(torch.get_rng_state(), before)
    assert depth_sheet(model, values, 3) == first
    assert depth_sheet(model, values, 4) != first


def test_it_stays_small_whatever_the_images_and_the_layers() -> None:
    model = model_of((3, 200, 300), (1,) * 30, likelihood="logistic_mixture", mixtures=1)
    with torch.no_grad():
        # The noisiest images there are.
        model.output.weight.normal_(0, 9)
        model.output.bias.normal_(0, 9)
    content = depth_sheet(model, pixels(9, 3, 200, 300), 0)
    assert opened(content).shape == (11 * 47, 8 * 68, 4)
    assert content is not None
    assert len(content) < 1_000_000


@pytest.mark.parametrize(
    ("layers", "rows"), [(1, (0, 1)), (9, tuple(range(10))), (27, tuple(range(0, 28, 3)))]
)
def test_rows_reach_from_q_alone_to_the_prior_alone(layers: int, rows: tuple[int, ...]) -> None:
    assert depth_rows(layers) == rows


def test_of_very_many_layers_no_depth_is_shown_twice() -> None:
    for layers in range(10, 60):
        rows = depth_rows(layers)
        assert rows[0] == 0
        assert rows[-1] == layers
        assert len(set(rows)) == 10


@pytest.mark.parametrize(
    ("values", "section"),
    [
        (pixels(8, 5), {}),
        (torch.zeros(8, 6, 6), {"likelihood": "gaussian"}),
        (pixels(8, 6, 6) % 4, {"likelihood": "categorical", "levels": 4, "one_hot": True}),
        (pixels(8, 2, 6, 6), {}),
    ],
    ids=["tabular", "continuous", "tokens", "two channels"],
)
def test_what_is_no_image_has_none(values: torch.Tensor, section: dict[str, object]) -> None:
    model = model_of(tuple(values.shape[1:]), **section)
    assert depth_sheet(model, values, 0) is None
