"""Trainings of a benchmark in processes of their own, each counted as it ends."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import TypeVar

_Job = TypeVar("_Job")


def train_all(train: Callable[[_Job], object], jobs: Sequence[_Job], processes: int) -> None:
    """Do all jobs; each keeps its own results, so that a stopped benchmark can go on.

    Args:
        train: A function of a module, which does one.
        jobs: Those that are left.
        processes: So many at a time.
    """
    if not jobs:
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(processes, len(jobs))) as pool:
        for count, _ in enumerate(pool.imap_unordered(train, jobs), 1):
            print(f"{count} of {len(jobs)} trainings", flush=True)
