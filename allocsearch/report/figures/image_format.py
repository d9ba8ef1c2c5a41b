"""The formats that figures can be written in; plotly is not needed to know them."""

from __future__ import annotations

from enum import StrEnum


class ImageFormat(StrEnum):
    """An image format, and the ending of its files."""

    PNG = "png"
    SVG = "svg"
    PDF = "pdf"
