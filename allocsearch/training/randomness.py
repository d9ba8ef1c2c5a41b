"""The random numbers of a training: which of them candidates share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from allocsearch.config import TrainingSection
from allocsearch.data.seeding import generator
from allocsearch.models.hvae import HVAE

_CPU = torch.device("cpu")


class Randomness:
    """Where a training's random numbers come from.

    With `training.batch_seed`, trainings that share it see the same examples in the same order
    with the same binarisation; with `training.common_noise` the noise of their latents is the
    same, too, as far as their layers have the same dims. Otherwise all follows from the trial's
    seed.

    Args:
        section: The training.
        seed: Of the trial.
        device: Where the numbers are drawn and used; a GPU draws others than a CPU.

    Attributes:
        batches: Source of the order of the examples and of their binarisation.
    """

    def __init__(self, section: TrainingSection, seed: int, device: torch.device = _CPU) -> None:
        def shared(purpose: str, batch_seed: int) -> torch.Generator:
            drawn = generator(batch_seed, purpose)
            if device == _CPU:
                return drawn
            return torch.Generator(device).manual_seed(drawn.initial_seed())

        self._noise = torch.Generator(device).manual_seed(seed)
        self._common = section.common_noise
        self.batches = self._noise
        if section.batch_seed is not None:
            self.batches = shared("batches", section.batch_seed)
            if section.common_noise:
                self._noise = shared("noise", section.batch_seed)

    def state(self) -> dict[str, Tensor]:
        """The states of the generators, bytes."""
        return {"batches": self.batches.get_state(), "noise": self._noise.get_state()}

    def set_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from the states of the generators of an equal source."""
        self.batches.set_state(state["batches"])
        self._noise.set_state(state["noise"])

    def noise(self, model: HVAE, batch: int) -> tuple[Tensor, ...]:
        """Standard normal noise for one step, for each layer `(batch, d_l)`.

        Args:
            model: A model without masks.
            batch: Number of examples.
        """
        if not self._common:
            return model.draw_noise(batch, self._noise)
        # Drawn for the whole budget in each layer, so that it does not depend on the allocation.
        allocation = model.allocation
        shape = (allocation.layers, batch, allocation.budget)
        drawn = torch.randn(shape, generator=self._noise, device=self._noise.device)
        return tuple(part[:, :d] for part, d in zip(drawn, allocation.dims, strict=True))
