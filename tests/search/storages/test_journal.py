from __future__ import annotations

import json
from pathlib import Path

import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from allocsearch.search.storages.journal import journal_file, journal_storage


def test_what_is_written_is_read_by_another(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    storage = journal_storage(path)
    study = storage.create_new_study([StudyDirection.MINIMIZE], "s")
    trial = storage.create_new_trial(study)
    storage.set_trial_state_values(trial, TrialState.COMPLETE, [1.5])
    (found,) = journal_storage(path).get_all_trials(study)
    assert found.values == [1.5]
    assert journal_file(storage) == path
    assert [file.name for file in tmp_path.iterdir()] == ["journal"]


@pytest.mark.parametrize("size", [1, 30, 5000])
@pytest.mark.parametrize("empty", [True, False])
def test_half_a_line_is_not_built_upon(tmp_path: Path, size: int, empty: bool) -> None:
    """As a full disk leaves it, or a machine that dies."""
    path = tmp_path / "journal"
    before = journal_storage(path)
    if not empty:
        before.create_new_study([StudyDirection.MINIMIZE], "before")
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write((b'{"op_code":0,"worker_id":"' + b"x" * size)[:size])
    names = [] if empty else ["before"]
    assert [study.study_name for study in before.get_all_studies()] == names
    journal_storage(path).create_new_study([StudyDirection.MINIMIZE], "after")
    found = [study.study_name for study in journal_storage(path).get_all_studies()]
    assert found == [study.study_name for study in before.get_all_studies()] == [*names, "after"]
    assert path.read_bytes().startswith(whole)
    for line in path.read_text().splitlines():
        json.loads(line)
