from __future__ import annotations

import pytest
import torch
from PIL import Image

from allocsearch.config import InputError
from allocsearch.data.fitting import fit


def test_the_right_shape_stays_bit_for_bit(pictures):
    values = torch.from_numpy(pictures(3, 6, 5))
    assert fit(values, (6, 5), "a") is values


def test_resizing_agrees_with_pillow(pictures):
    values = torch.from_numpy(pictures(3, 105, 90))
    found = fit(values, (28, 32), "a")
    assert found.dtype == torch.uint8
    for image, other in zip(values, found, strict=True):
        pillow = Image.fromarray(image.numpy()).resize((32, 28), Image.Resampling.BILINEAR)
        expected = torch.frombuffer(bytearray(pillow.tobytes()), dtype=torch.uint8)
        difference = other.int() - expected.reshape(28, 32).int()
        assert difference.abs().max() <= 1


def test_grey_becomes_three_equal_channels(pictures):
    grey = torch.from_numpy(pictures(3, 6, 5))
    colour = fit(grey, (3, 6, 5), "a")
    assert all(torch.equal(colour[:, c], grey) for c in range(3))


def test_colour_becomes_the_luma_that_pillow_computes(pictures):
    colour = pictures(2, 6, 5, 3)
    found = fit(torch.from_numpy(colour).permute(0, 3, 1, 2), (6, 5), "a")
    for image, other in zip(colour, found, strict=True):
        luma = bytearray(Image.fromarray(image).convert("L").tobytes())
        expected = torch.frombuffer(luma, dtype=torch.uint8).reshape(6, 5)
        assert (other.int() - expected.int()).abs().max() <= 1


def test_colour_images_are_resized_and_greyed_together(pictures):
    colour = torch.from_numpy(pictures(2, 3, 32, 32))
    assert fit(colour, (28, 28), "a").shape == (2, 28, 28)
    assert fit(colour, (3, 28, 28), "a").shape == (2, 3, 28, 28)


@pytest.mark.parametrize(("other", "shape"), [((7,), (6, 5)), ((6, 5), (30,)), ((7,), (8,))])
def test_vectors_are_never_resized(other, shape):
    with pytest.raises(InputError, match=r"a: found examples of shape .*; allowed: "):
        fit(torch.zeros(2, *other, dtype=torch.uint8), shape, "a")
