from __future__ import annotations

import gc
from pathlib import Path
from typing import ClassVar

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, StudyConfig
from allocsearch.search import records
from allocsearch.search.records import read_run, read_study, read_trial
from allocsearch.search.storage import CONFIG_NAME, open_study, write_atomically

CONFIG = StudyConfig.model_validate(
    {
        "study": {"objectives": ["max:retention", "min:rate"]},
        "search_space": {"budget": 8},
        "data": {"id": "digits"},
    }
)
COMPLETE = {
    records.ALLOCATION: "4-3-1",
    records.SEED: 17,
    records.SLOT: 0,
    records.METRICS: {"retention": 2.0, "rate": 5.0, "elbo": -20.5},
    records.SCORE: "llr_1",
    records.BROKEN_INVARIANTS: ["attenuation"],
    records.PROVENANCE: {"torch": "2.6", "data": "abc"},
    records.RETRY_OF: 3,
}


def trial_of(state: TrialState, values: list[float] | None = None, **attributes):
    return create_trial(state=state, values=values, user_attrs=attributes)


def test_a_complete_trial_holds_all_that_was_recorded() -> None:
    record = read_trial(trial_of(TrialState.COMPLETE, [2.0, 5.0], **COMPLETE))
    assert record.state == "complete"
    assert record.allocation == Allocation((4, 3, 1))
    assert record.seed == 17
    assert record.values == (2.0, 5.0)
    assert record.metrics == {"retention": 2.0, "rate": 5.0, "elbo": -20.5}
    assert record.score == "llr_1"
    assert record.broken_invariants == ("attenuation",)
    assert record.provenance == {"torch": "2.6", "data": "abc"}
    assert record.retry_of == 3
    assert record.duration is not None
    assert record.duration >= 0
    assert record.reason is None


@pytest.mark.parametrize(
    ("state", "attributes", "expected", "finished"),
    [
        (TrialState.WAITING, {}, "waiting", False),
        (TrialState.RUNNING, {}, "running", False),
        (TrialState.RUNNING, {records.INTERRUPTED: True}, "running", False),
        (TrialState.FAIL, {}, "failed", True),
        (TrialState.FAIL, {records.INTERRUPTED: True}, "interrupted", False),
    ],
)
def test_states_and_what_counts_as_finished(
    state: TrialState, attributes: dict, expected: str, finished: bool
) -> None:
    record = read_trial(trial_of(state, **attributes))
    assert record.state == expected
    assert record.finished is finished
    assert record.allocation is None
    assert record.values == ()


def test_a_running_trial_has_progress_and_a_failed_one_a_reason() -> None:
    progress = {"epoch": 3, "epochs": 20, "elbo": -31.25}
    running = read_trial(trial_of(TrialState.RUNNING, **{records.PROGRESS: progress}))
    assert running.progress == progress
    assert running.duration is None
    failed = read_trial(trial_of(TrialState.FAIL, **{records.REASON: "the loss became nan"}))
    assert failed.reason == "the loss became nan"


def fill(study: optuna.Study) -> None:
    study.add_trial(trial_of(TrialState.COMPLETE, [2.0, 5.0], **COMPLETE))
    study.add_trial(trial_of(TrialState.FAIL, **{records.INTERRUPTED: True}))
    study.add_trial(trial_of(TrialState.FAIL))
    study.add_trial(trial_of(TrialState.RUNNING))


def test_a_study_counts_its_trials(tmp_path: Path) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    fill(study)
    record = read_study(study, CONFIG, tmp_path)
    assert [trial.number for trial in record.trials] == [0, 1, 2, 3]
    assert [trial.number for trial in record.complete] == [0]
    assert record.finished == 2


def test_a_run_is_read_from_its_folder_alone(tmp_path: Path) -> None:
    write_atomically(tmp_path / CONFIG_NAME, CONFIG.to_toml())
    study = open_study(CONFIG, tmp_path, create=True)
    fill(study)
    assert read_run(tmp_path) == read_study(study, CONFIG, tmp_path)
    assert read_run(tmp_path).config == CONFIG


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        read_run(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_as_it_was_once_a_study_is_read(enabled, monkeypatch):
    seen = []

    class Study:
        user_attrs: ClassVar[dict[str, object]] = {}

        def get_trials(self, deepcopy):
            seen.append(gc.isenabled())
            raise ValueError("broken")

    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(InputError):
            records._stored(Study())
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
    assert seen == [False]
