"""What a trial costs that is measured at rungs."""

from __future__ import annotations

from collections.abc import Sequence

from allocsearch.config import RungSchedule


def trial_cost(reached: Sequence[float], complete: bool, schedule: RungSchedule) -> float:
    """The training of a trial, in full trainings; measurements are left out.

    Args:
        reached: The rungs it was measured at, shares of the full training, ascending. A trial
            that is not complete was stopped at the last of them.
        complete: Whether it was trained to the end.
        schedule: Whether rungs are points of the full training, or trainings of their own.
    """
    if schedule == "own":
        return sum(reached) + complete
    return 1.0 if complete else reached[-1]
