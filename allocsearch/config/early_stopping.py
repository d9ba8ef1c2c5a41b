"""The section `early_stopping`: the rungs that judge trials, and when they may be trusted."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from allocsearch.config.errors import mistake
from allocsearch.config.section import Section, one_or_more

_Rung = Annotated[float, Field(gt=0, lt=1)]
RungSchedule = Literal["own", "full"]


class EarlyStoppingSection(Section):
    """Off, on once a rung has proven itself (`auto`), or on from the start (`forced`).

    Rungs are shares of the full training, in ascending order. With the schedule `own` each is a
    training by itself, whose KL warm-up and free nats follow its own length, and what is promoted
    begins anew; with `full` it is a point of the full training, which goes on from there.
    """

    mode: Literal["off", "auto", "forced"] = "off"
    """Off, on once a rung has proven itself, or on from the start."""
    rungs: Annotated[tuple[_Rung, ...], BeforeValidator(one_or_more), Field(min_length=1)] = (
        0.25,
    )
    """Shares of the full training, ascending."""
    schedule: RungSchedule = "own"
    """Whether a rung is a short training by itself, or a point of the full one."""
    reduction_factor: Annotated[int, Field(ge=2, le=1000)] = 3
    """One trial in so many goes on at a rung."""
    min_correlation: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Kendall's tau of rung and final value that a rung has to exceed, for every objective."""
    calibration_trials: Annotated[int, Field(ge=4, lt=2**31)] = 8
    """Full trainings before a rung is judged."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sorted({*self.rungs}) != [*self.rungs]:
            raise mistake("rungs", f"found {[*self.rungs]}; allowed: different ones, ascending")
        return self

    @property
    def measured(self) -> tuple[float, ...]:
        """The rungs at which trials are measured: none where early stopping is off."""
        return () if self.mode == "off" else self.rungs
