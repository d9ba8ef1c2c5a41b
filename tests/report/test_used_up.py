from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from allocsearch.config import StudyConfig
from allocsearch.report.terminal.live import PlainProgress, time_left
from allocsearch.report.terminal.summary import progress_text, status_lines, summary, used_up_lines
from allocsearch.search.records import StudyRecord, TrialRecord


def record_of(most: int | None, replicates: int = 2) -> StudyRecord:
    config = StudyConfig.model_validate(
        {
            "study": {"trials": 9, "replicates": replicates, "objectives": "max:elbo"},
            "search_space": {"budget": 4, "kind": "table", "allocations": ["2-2", "1-3"]},
            "data": {"id": "digits"},
        }
    )
    trials = tuple(TrialRecord(number=n, state="failed", duration=2.0) for n in range(3))
    return StudyRecord(Path("run"), config, trials, most)


@pytest.mark.parametrize(("replicates", "each"), [(1, "training"), (2, "2 trainings")])
def test_a_used_up_space_is_told(replicates: int, each: str) -> None:
    record = record_of(4, replicates)
    [line] = used_up_lines(record)
    assert line == (
        f"The search space is used up by 4 of 9 trials: every allocation has its {each} then "
        "(study.replicates)."
    )
    assert line in status_lines(record)
    console = Console(width=200, record=True)
    with console.capture() as captured:
        console.print(summary(record))
    assert line in captured.get()


def test_the_trials_of_a_used_up_space_are_those_that_count() -> None:
    record = record_of(4)
    assert progress_text(record) == "3 of 4 trials (3 failed)"
    assert PlainProgress().lines(record) == ["study: 3 of 4 trials"]
    assert time_left(record) == 2.0


def test_a_space_with_room_is_not_mentioned() -> None:
    record = record_of(None)
    assert used_up_lines(record) == []
    assert progress_text(record) == "3 of 9 trials (3 failed)"
    assert time_left(record) == 12.0
