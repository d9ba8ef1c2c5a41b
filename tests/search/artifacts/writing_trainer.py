"""Trainings that only write files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from allocsearch.search.trainer import Hooks, Result, Task


class WritingTrainer:
    """Writes two files for each task, and gives a loss."""

    together = 1
    fingerprint = None

    def run(self, tasks: Sequence[Task], hooks: Hooks) -> Iterator[tuple[int, Result]]:
        for index, task in enumerate(tasks):
            hooks.check()
            (task.folder / "weights").mkdir(parents=True)
            (task.folder / "metrics.json").write_text(f'{{"seed": {task.seed}}}')
            (task.folder / "weights" / "last.bin").write_bytes(bytes(range(256)) * 9)
            (task.folder / "latest").symlink_to("metrics.json")
            yield index, Result({"loss": float(task.seed)})
