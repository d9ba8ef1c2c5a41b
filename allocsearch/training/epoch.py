"""What an epoch of a training gave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave.

    Attributes:
        epoch: Its number, from 1.
        epochs: How many there will be.
        elbo: Mean ELBO of the training batches during the epoch, nats per example.
        rates: Mean KL term of each layer, bottom to top, of the same batches, nats per example.
    """

    epoch: int
    epochs: int
    elbo: float
    rates: tuple[float, ...]

    @property
    def metrics(self) -> dict[str, float]:
        """What was measured, named as the metrics of a trial: `elbo`, `rate_1` (next to x), ..."""
        return {"elbo": self.elbo, **{f"rate_{i}": rate for i, rate in enumerate(self.rates, 1)}}

    @property
    def progress(self) -> dict[str, float]:
        """All of it by name."""
        return {"epoch": self.epoch, "epochs": self.epochs, **self.metrics}
