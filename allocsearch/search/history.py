"""The epochs of a finished training, as the files of its trial hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from allocsearch.config import InputError, first_problem
from allocsearch.training.epoch import Epoch

METRICS_NAME = "metrics.json"

History = tuple[Epoch, ...]

# More are no float.
_Count = Annotated[int, Field(ge=1, le=1 << 53)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Epoch(BaseModel):
    """An `Epoch`; trials of before the rates were kept have none."""

    model_config = ConfigDict(strict=True, frozen=True)

    epoch: _Count
    epochs: _Count
    elbo: _Finite
    rates: tuple[_Finite, ...] = ()


class _Kept(BaseModel):
    """What is asked for of metrics.json; it has more."""

    model_config = ConfigDict(strict=True, frozen=True)

    history: list[_Epoch] = Field(default_factory=list)


def read_history(path: Path) -> History:
    """The epochs of a training.

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
    epochs = sorted(kept.history, key=lambda each: each.epoch)
    return tuple(Epoch(**dict(each)) for each in epochs)
