"""Training of one allocation by the function or program of the user, outside of a study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from allocsearch.allocation import Allocation
from allocsearch.config import (
    DataSection,
    EvaluationSection,
    ModelSection,
    SearchSpaceSection,
    StudyConfig,
    TrainerSection,
    TrainingSection,
)
from allocsearch.search.trainer import Hooks, Result, Task
from allocsearch.search.trainers import build_trainer


def retrain_foreign(
    folder: Path,
    allocation: Allocation,
    seed: int,
    trainer: TrainerSection,
    data: DataSection | None,
    model: ModelSection,
    training: TrainingSection,
    evaluation: EvaluationSection,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Result:
    """Train as a trial of a study would; the study is one of this allocation alone.

    Args:
        folder: For the files of the training; made where it is missing.
        allocation: What to train.
        seed: Seed of the training.
        trainer: What trains.
        data: The data of the study, where it had any.
        model: What the study said of the model.
        training: What it said of the training.
        evaluation: What it said of the evaluation.
        on_progress: Called with the share of the training that is done.

    Raises:
        InputError: If there is no such function or program.
        RuntimeError: If the training fails.
    """
    space = SearchSpaceSection(
        kind="table", budget=allocation.budget, allocations=(str(allocation),)
    )
    config = StudyConfig(
        search_space=space,
        data=data,
        model=model,
        training=training,
        evaluation=evaluation,
        trainer=trainer,
    )
    hooks = Hooks(progress=lambda index, progress: on_progress(progress["progress"]))
    task = Task(allocation, seed, folder)
    # Whatever metrics there are get compared.
    [(_, result)] = build_trainer(config, wanted=()).run([task], hooks)
    if isinstance(result, Exception):
        raise result
    return result
