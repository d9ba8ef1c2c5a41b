"""A picture of what each layer of a trained model holds, for data that can be shown."""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from allocsearch.data.seeding import generator
from allocsearch.models.depths import decode_depths
from allocsearch.models.hvae import HVAE
from allocsearch.search.depths import COLUMNS, LEAST_SIDE, MARGIN, MOST_SIDE, depth_rows


def depth_sheet(model: HVAE, values: Tensor, seed: int) -> bytes | None:
    """A PNG with the first eight examples in a row, and below them a row for each depth.

    The row of k is what `decode_depths` makes of them: z_{>k} from q(z | x), the others from the
    prior. It draws from a generator of its own, so that nothing else changes by it.

    Args:
        model: A trained model on the CPU, in eval mode.
        values: Stored examples, `(n, *shape)`.
        seed: Of binarisation and latents.

    Returns:
        None for what is no image: continuous values, the ids of tokens, or examples that are not
        `(H, W)` or `(3, H, W)`.
    """
    if not _is_image(model, values):
        return None
    shown = values[:COLUMNS]
    source = generator(seed, "depths")
    with torch.inference_mode():
        x = model.likelihood.prepare(shown, source)
        noise = model.draw_noise(len(shown), source)
        means = decode_depths(model, x, noise, depth_rows(model.allocation.layers))
    decoded = means.round().clamp(0, 255).to(torch.uint8).reshape(-1, *shown.shape)
    return _png(torch.cat((shown[None], decoded)).numpy())


def _is_image(model: HVAE, values: Tensor) -> bool:
    grey_or_rgb = len(model.shape) == 2 or (len(model.shape) == 3 and model.shape[0] == 3)
    return values.dtype == torch.uint8 and grey_or_rgb and not model.section.one_hot


def _png(cells: NDArray[np.uint8]) -> bytes:
    """Images `(rows, columns, H, W)` or `(rows, columns, 3, H, W)`, with clear margins."""
    rows, columns = cells.shape[:2]
    mode = "L" if cells.ndim == 4 else "RGB"
    width, height = (side + 2 * MARGIN for side in _size(cells.shape[-1], cells.shape[-2]))
    sheet = Image.new("LA" if mode == "L" else "RGBA", (columns * width, rows * height))
    for row in range(rows):
        for column in range(columns):
            cell = _cell(cells[row, column], (width - 2 * MARGIN, height - 2 * MARGIN))
            sheet.paste(cell, (column * width + MARGIN, row * height + MARGIN))
    content = io.BytesIO()
    sheet.save(content, "PNG", optimize=True)
    return content.getvalue()


def _cell(pixels: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    image = Image.fromarray(pixels if pixels.ndim == 2 else np.moveaxis(pixels, 0, -1))
    grows = size[0] >= image.width
    resized = image.resize(size, Image.Resampling.NEAREST if grows else Image.Resampling.BOX)
    # With the opacity that the margins lack.
    return resized.convert("LA" if resized.mode == "L" else "RGBA")


def _size(width: int, height: int) -> tuple[int, int]:
    """Width and height that an image is shown in, in the same proportion as far as pixels go."""
    longest = max(width, height)
    if longest > MOST_SIDE:
        scale = MOST_SIDE / longest
        return max(1, round(width * scale)), max(1, round(height * scale))
    times = max(1, LEAST_SIDE // longest)
    return width * times, height * times
