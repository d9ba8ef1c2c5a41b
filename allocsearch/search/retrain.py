"""Training of one allocation outside of a study, from all that an export holds."""

from __future__ import annotations

from collections.abc import Callable

from allocsearch.allocation import Allocation
from allocsearch.config import EvaluationSection, ModelSection, TrainingSection
from allocsearch.data.splits import SearchData
from allocsearch.search.compatibility import check_all
from allocsearch.search.objective import Candidate, Outcome, train_and_measure
from allocsearch.training.epoch import Epoch
from allocsearch.training.pretraining import PretrainingEpoch


def retrain(
    allocation: Allocation,
    seed: int,
    data: SearchData,
    model: ModelSection,
    training: TrainingSection,
    evaluation: EvaluationSection,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_pretrain: Callable[[PretrainingEpoch], None] = lambda epoch: None,
) -> Outcome:
    """Train the allocation and measure it as a trial of a study would.

    Args:
        allocation: What to train.
        seed: Seed of the training and the measurement.
        data: The data of the search.
        model: Everything about the model but its allocation.
        training: The training.
        evaluation: The measurement.
        on_epoch: Called after every epoch.
        on_pretrain: Called after every epoch of a pretraining.

    Raises:
        InputError: If data is not for the likelihood, the pretraining or the probe.
        DivergedError: If the loss became NaN or infinite.
        NotFiniteError: If a metric is NaN or infinite.
        LinAlgError: If a covariance of the latents cannot be factorised.
    """
    check_all(data, model, training, evaluation)
    [(_, outcome)] = train_and_measure(
        [Candidate(allocation, seed)],
        data,
        model,
        training,
        evaluation,
        lambda index, epoch: on_epoch(epoch),
        on_pretrain=lambda index, epoch: on_pretrain(epoch),
    )
    if not isinstance(outcome, Outcome):
        raise outcome
    return outcome
