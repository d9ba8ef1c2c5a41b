"""Studies made of given numbers, without any training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config import StudyConfig
from allocsearch.search.records import StudyRecord, TrialRecord

ValuesToStudy = Callable[..., StudyRecord]
DIRECTIONS = ("max:retention", "min:attenuation", "max:elbo", "min:rate")


@pytest.fixture
def study_of(tmp_path: Path) -> ValuesToStudy:
    """A study whose complete trials have the given objective values, `(n, m)`."""

    def build(
        values: Sequence[Sequence[float]], objectives: Sequence[str] = DIRECTIONS
    ) -> StudyRecord:
        objectives = tuple(objectives)[: len(values[0]) if values else len(objectives)]
        names = [text.partition(":")[2] for text in objectives]
        config = StudyConfig.model_validate(
            {
                "study": {"name": "given", "objectives": list(objectives)},
                "search_space": {"budget": 24},
                "data": {"id": "digits"},
            }
        )
        trials = tuple(
            TrialRecord(
                number=i,
                state="complete",
                allocation=Allocation((8 + i, 8, 8)),
                seed=i,
                values=tuple(map(float, row)),
                metrics=dict(zip(names, map(float, row), strict=True)),
                duration=1.0,
            )
            for i, row in enumerate(values)
        )
        return StudyRecord(tmp_path / "runs" / "given", config, trials)

    return build


@pytest.fixture
def study(tmp_path: Path) -> StudyRecord:
    """A study of 24 trials, 20 of them complete, as a digits run would leave it."""
    config = StudyConfig.model_validate(
        {
            "study": {"name": "synthetic-24", "trials": 24, "workers": 2},
            "search_space": {"budget": 24, "min_dim": 1},
            "data": {"id": "digits", "ood_validation": ["inversion", "segment_deletion"]},
        }
    )
    rng = np.random.default_rng(7)
    lattice = list(Lattice(24, 3, min_dim=1))
    drawn = rng.permutation(len(lattice))
    trials = []
    for i in range(24):
        allocation = lattice[int(drawn[i])]
        if i in (5, 11):
            trials.append(
                TrialRecord(
                    i, "failed", allocation, i, duration=1.5, reason="loss is <script>nan</script>"
                )
            )
        elif i == 14:
            trials.append(TrialRecord(i, "interrupted", allocation, i, reason="worker 2 died"))
        elif i == 23:
            progress = {"epoch": 3, "epochs": 20, "elbo": -31.25}
            trials.append(TrialRecord(i, "running", allocation, i, progress=progress))
        else:
            trials.append(_complete(i, allocation, rng))
    return StudyRecord(tmp_path / "runs" / "synthetic-24", config, tuple(trials))


@pytest.fixture
def replicated(study: StudyRecord) -> StudyRecord:
    """The study, in which every third complete trial has been trained again, one of them twice."""
    rng = np.random.default_rng(3)
    complete = study.complete
    again = [*complete[::3], complete[0]]
    trials = [*study.trials]
    for trial in again:
        noise = rng.normal(size=3) * [0.4, 0.03, 0.02]
        values = tuple(float(v) for v in np.asarray(trial.values) + noise)
        names = ("retention", "attenuation", "auroc")
        metrics = {**trial.metrics, **dict(zip(names, values, strict=True))}
        number = len(trials)
        trials.append(
            dataclasses.replace(
                trial, number=number, seed=1000 + number, values=values, metrics=metrics
            )
        )
    return dataclasses.replace(study, trials=tuple(trials))


def _complete(number: int, allocation: Allocation, rng: np.random.Generator) -> TrialRecord:
    """A trial with the trends of section 7 of the design and some noise."""
    bottom, _, top = allocation.dims
    information = [6 * math.log1p(bottom), 4 * math.log1p(min(allocation.dims[:2])), 0.0]
    information[2] = min(2.5 * math.log1p(top), 0.8 * information[1])
    information = [v * float(rng.uniform(0.9, 1.1)) for v in information]
    auroc = 0.55 + 0.4 * bottom / 24 + float(rng.normal(0, 0.03))
    metrics = {
        "retention": information[0],
        "attenuation": 1 - information[2] / max(information),
        "auroc": auroc,
        "auroc_worst": auroc - 0.05,
        "elbo": -24 - abs(float(rng.normal(0, 1))),
        "distortion": 14.0,
        "rate": 10.0,
    }
    for layer, (value, d) in enumerate(zip(information, allocation.dims, strict=True), 1):
        metrics |= {
            f"information_{layer}": value,
            f"rate_{layer}": value * 1.2,
            f"active_units_{layer}": float(max(1, d - layer)),
        }
    return TrialRecord(
        number,
        "complete",
        allocation,
        seed=1000 + number,
        values=(metrics["retention"], metrics["attenuation"], metrics["auroc"]),
        metrics=metrics,
        duration=float(rng.uniform(5, 9)),
        retry_of=14 if number == 15 else None,
    )
