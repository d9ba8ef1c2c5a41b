from __future__ import annotations

import pytest
from event_reading import hyperparameters, scalars

from allocsearch.allocation import Allocation
from allocsearch.search.records import TrialRecord
from allocsearch.search.tracking.curves import TrainingCurves
from allocsearch.search.tracking.event_folder import event_folder
from allocsearch.search.tracking.final_events import FINAL_NAME, FinalEvents

DONE = TrialRecord(
    number=7,
    state="complete",
    allocation=Allocation((9, 2, 1)),
    seed=11,
    replicate=1,
    values=(0.5,),
    metrics={"auroc": 0.5, "rate_1": 3.25},
)


def test_metrics_and_hyperparameters_are_beside_the_curve(tmp_path):
    place = event_folder(tmp_path, DONE.allocation, 1)
    assert place == tmp_path / "tensorboard" / "9-2-1" / "1"
    curves = TrainingCurves(1)
    curves.add(place, {"epoch": 1, "epochs": 1, "elbo": -4.0})
    curves.close()
    FinalEvents(tmp_path).log(DONE)
    assert scalars(place) == {
        "training/elbo": [(1, -4.0)],
        "metrics/auroc": [(0, 0.5)],
        "metrics/rate_1": [(0, 3.25)],
    }
    assert hyperparameters(place) == {
        "allocation": "9-2-1",
        "ratio": pytest.approx(DONE.allocation.ratio),
        "layers": 3.0,
        "d_1": 9.0,
        "d_2": 2.0,
        "d_3": 1.0,
        "replicate": 1.0,
        "seed": 11.0,
    }


def test_what_is_there_is_not_written_again(tmp_path):
    for _ in range(2):
        FinalEvents(tmp_path).log(DONE)
    place = event_folder(tmp_path, DONE.allocation, 1)
    assert [path.name for path in place.iterdir()] == [FINAL_NAME]
    assert [path.name for path in tmp_path.iterdir()] == ["tensorboard"]
    assert scalars(place)["metrics/auroc"] == [(0, 0.5)]


def test_one_that_failed_has_no_metrics(tmp_path):
    FinalEvents(tmp_path).log(TrialRecord(number=1, state="failed", reason="no"))
    assert not list(tmp_path.iterdir())
