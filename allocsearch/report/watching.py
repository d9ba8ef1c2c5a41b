"""The report of a study that goes on, written again whenever there is news."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from allocsearch.report.front import study_front
from allocsearch.report.page import write_page
from allocsearch.report.tables import write_tables
from allocsearch.search.records import StudyRecord, read_study
from allocsearch.search.storage import (
    NO_PATIENCE,
    StorageError,
    StorageLostError,
    load_run_config,
    open_study,
)

logger = logging.getLogger(__name__)


def watch_report(
    folder: Path,
    every: float,
    tell: Callable[[StudyRecord], None],
    wait: Callable[[float], None] = time.sleep,
) -> StudyRecord:
    """Write the report of a study, and again whenever a trial begins or ends, to its last trial.

    The page reads itself again after as many seconds, but for the one that is written last.

    Args:
        folder: The run folder.
        every: Seconds between two looks at the storage.
        tell: Called with the study as it stands after each report.
        wait: Lets seconds pass.

    Returns:
        The study, ended.

    Raises:
        InputError: If `folder` is no run folder, or no longer one.
        StorageError: If the storage cannot be opened at the first look.
        KeyboardInterrupt: As `wait` raised it; the page reads itself no more.
    """
    record = None
    try:
        for record in news(folder, every, wait):
            ended = record.finished >= record.wanted
            front = study_front(record)
            write_tables(record, front)
            write_page(record, front, refresh=None if ended else every)
            tell(record)
    except KeyboardInterrupt:
        if record is not None:
            write_page(record)
        raise
    assert record is not None  # noqa: S101 - the first look gives one, or raises.
    return record


def news(folder: Path, every: float, wait: Callable[[float], None]) -> Iterator[StudyRecord]:
    """The study as it stands, and again whenever a trial has begun or ended, to its last trial.

    A storage that fails after the first look is looked at again.

    Args:
        folder: The run folder.
        every: Seconds between two looks.
        wait: Lets them pass.

    Raises:
        InputError: If `folder` is no run folder, or no longer one.
        StorageError: If the storage cannot be opened at the first look.
    """
    record, away = _look(folder), False
    yield record
    while record.finished < record.wanted:
        wait(every)
        try:
            found = _look(folder)
        except (StorageError, StorageLostError) as error:
            if not away:
                logger.warning("%s; looking again every %g s", error, every)
            away = True
            continue
        if away:
            logger.warning("the storage is back")
        away = False
        if _standing(found) != _standing(record):
            record = found
            yield record


def _look(folder: Path) -> StudyRecord:
    """The study; a storage that does not answer is not waited for."""
    config = load_run_config(folder)
    return read_study(open_study(config, folder, using=NO_PATIENCE), config, folder)


def _standing(record: StudyRecord) -> tuple[object, ...]:
    """What makes news: the epochs of a running trial do not."""
    return record.wanted, *((trial.number, trial.state) for trial in record.trials)
