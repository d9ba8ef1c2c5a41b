"""What ends a training whose loss is no number any more."""

from __future__ import annotations


class DivergedError(RuntimeError):
    """The loss became NaN or infinite."""


def diverged(loss: float, epoch: int, what: str = "the loss") -> DivergedError:
    """What is wrong with a training whose loss over an epoch is not finite.

    Args:
        loss: Over the epoch.
        epoch: Its number, from 1.
        what: Which loss it is.
    """
    return DivergedError(f"{what} became {loss} in epoch {epoch}")
