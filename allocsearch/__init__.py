"""Search how a hierarchical VAE splits a fixed latent budget across its layers."""

from __future__ import annotations

__version__ = "0.1.0"
