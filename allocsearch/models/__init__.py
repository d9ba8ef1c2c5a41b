"""The hierarchical VAE, its blocks and likelihoods."""

from __future__ import annotations
