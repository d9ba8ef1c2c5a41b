"""What a trial trained, as trackers tabulate it."""

from __future__ import annotations

from allocsearch.search.records import TrialRecord


def hyperparameters(trial: TrialRecord) -> dict[str, str | int | float]:
    """The allocation of a trial, its ratio and the dims of each layer, and its seed.

    Layer 1, `d_1`, is next to the data. A trial that has settled none of it gives nothing.
    """
    found: dict[str, str | int | float] = {}
    if trial.allocation is not None:
        found["allocation"] = str(trial.allocation)
        found["ratio"] = trial.allocation.ratio
        found["layers"] = trial.allocation.layers
        found |= {f"d_{layer}": dim for layer, dim in enumerate(trial.allocation.dims, 1)}
    if trial.replicate is not None:
        found["replicate"] = trial.replicate
    if trial.seed is not None:
        found["seed"] = trial.seed
    return found
