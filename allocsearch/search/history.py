"""The epochs of a finished training, as the files of its trial hold them."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from allocsearch.config import InputError, first_problem

METRICS_NAME = "metrics.json"


class _Epoch(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    # More are no float.
    epoch: int = Field(ge=1, le=1 << 53)
    elbo: float = Field(allow_inf_nan=False)


class _Kept(BaseModel):
    """What is asked for of metrics.json; it has more."""

    model_config = ConfigDict(strict=True, frozen=True)

    history: list[_Epoch] = Field(default_factory=list)


def read_history(path: Path) -> dict[int, float]:
    """The mean ELBO of the training batches of each epoch, by its number, nats per example.

    Args:
        path: The `metrics.json` of a trial.

    Returns:
        In order; of a training that was interrupted, the epochs before that, too. Nothing where
        the trainer has kept none.

    Raises:
        InputError: If there is no such file, or it cannot be read.
    """
    try:
        kept = _Kept.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}") from None
    return {each.epoch: each.elbo for each in sorted(kept.history, key=lambda e: e.epoch)}
