"""What is kept of a training that code which is not ours has done."""

from __future__ import annotations

import json
from collections.abc import Mapping

from allocsearch.search.environment import environment
from allocsearch.search.storage import write_atomically
from allocsearch.search.trainer import Result, Task

_PACKAGES = ("allocsearch", "torch", "numpy")


def kept_result(task: Task, metrics: Mapping[str, float], trainer: str) -> Result:
    """Write metrics.json to the folder of the trial, and give the result.

    Args:
        task: What was trained.
        metrics: What it gave.
        trainer: The function or program that trained.
    """
    provenance = {**environment(_PACKAGES), "trainer": trainer}
    content = {
        "schema_version": 1,
        "allocation": str(task.allocation),
        "seed": task.seed,
        "metrics": metrics,
        "provenance": provenance,
    }
    text = json.dumps(content, indent=1, allow_nan=False)
    write_atomically(task.folder / "metrics.json", text)
    return Result(metrics, provenance=provenance)
