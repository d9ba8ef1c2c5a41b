from __future__ import annotations

import io
import math
import zlib

import pytest
import torch
from PIL import Image

from allocsearch.metrics.complexity import _known, complexity, known_complexity

BYTE = 8 * math.log(2)


@pytest.mark.parametrize("shape", [(30,), (9, 11), (3, 8, 8)])
def test_code_lengths_are_those_of_the_compressors(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 256, (4, *shape), generator=generator, dtype=torch.uint8)
    found = complexity(values)
    assert found.shape == (4, 2)
    for example, (png, compressed) in zip(values, found.tolist(), strict=True):
        array = example.numpy()
        array = array.transpose(1, 2, 0) if len(shape) == 3 else array.reshape(-1, shape[-1])
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, format="PNG")
        assert png == pytest.approx(len(buffer.getvalue()) * BYTE)
        assert compressed == pytest.approx(len(zlib.compress(array.tobytes(), 9)) * BYTE)
        # A PNG holds the image: what is measured is a code for it.
        assert (torch.from_numpy(array.copy()).numpy() == Image.open(buffer)).all()


def test_noise_is_complex_and_a_plain_image_is_not() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (5, 28, 28), generator=generator, dtype=torch.uint8)
    plain = torch.full((5, 28, 28), 7, dtype=torch.uint8)
    assert (complexity(noise) > 784 * BYTE).all()
    assert (complexity(plain) < 0.15 * complexity(noise)).all()


def test_no_examples_have_no_complexity() -> None:
    assert complexity(torch.empty(0, 4, 4, dtype=torch.uint8)).shape == (0, 2)


def test_the_complexity_of_a_data_set_is_computed_once_and_not_kept_longer_than_it() -> None:
    values = torch.randint(0, 256, (5, 4, 4), dtype=torch.uint8)
    found = known_complexity(values)
    assert torch.equal(found, complexity(values))
    assert known_complexity(values) is found
    assert known_complexity(values.clone()) is not found
    kept = len(_known)
    del values
    assert len(_known) == kept - 1
