"""From a study's model section to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.models.bottom_up import BottomUpHVAE
from allocsearch.models.hvae import HVAE
from allocsearch.models.top_down import TopDownHVAE

INFERENCE_KINDS: Mapping[str, type[HVAE]] = {"bottom_up": BottomUpHVAE, "top_down": TopDownHVAE}


def build_model(
    allocation: Allocation,
    shape: tuple[int, ...],
    section: ModelSection,
    seed: int,
    widths: Sequence[int] | None = None,
) -> HVAE:
    """A model with its initial weights, which depend on `seed` alone.

    Args:
        allocation: Latent dims, bottom to top.
        shape: Of one example: `(d,)`, `(H, W)` or `(C, H, W)`.
        section: Everything else about the model.
        seed: Of the initial weights.
        widths: Dims that the tensors of the latents have room for; see `HVAE`.

    Raises:
        InputError: If likelihood or blocks cannot be built for such examples or latents.
        ValueError: If `widths` have no room for the allocation.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return INFERENCE_KINDS[section.inference](allocation, shape, section, widths)
