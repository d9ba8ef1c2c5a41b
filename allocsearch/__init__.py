"""Search how a hierarchical VAE splits a fixed latent budget across its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["Detector", "__version__"]

if TYPE_CHECKING:
    from allocsearch.search.detectors.detector import Detector


def __getattr__(name: str) -> object:
    # Its import takes torch, which few of the commands need.
    if name == "Detector":
        from allocsearch.search.detectors.detector import Detector

        return Detector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
