"""Files of trials for a reader that can do without those that do not come at once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from allocsearch.config import InputError
from allocsearch.search.records import StudyRecord
from allocsearch.search.storage import NO_PATIENCE, StorageError, open_study, trial_folder
from allocsearch.search.storages.errors import StorageLostError

if TYPE_CHECKING:
    from allocsearch.search.artifacts.links import StoredFile

# Seconds for all files together.
PATIENCE = 15.0
# Bytes of a file that is fetched without being asked for by name.
_MOST = 1 << 26

# The number of a trial and the name of one of its files.
Name = tuple[int, str]


@dataclass
class FilesAtHand:
    """Files of trials, as far as they were found.

    Attributes:
        paths: In the run folder, by trial and name; those that are missing are left out.
        problem: Why more of them were not fetched, in a line; None where nothing went wrong.
    """

    paths: dict[Name, Path] = field(default_factory=dict)
    problem: str | None = None


def files_at_hand(
    record: StudyRecord, wanted: Iterable[Name], seconds: float = PATIENCE
) -> FilesAtHand:
    """Files of trials from the run folder, and otherwise from the artifact store of the study.

    What is fetched goes into the run folder, each file checked. A store that fails or hangs costs
    `seconds` at most, and what it has given until then is kept.

    Args:
        record: The study.
        wanted: The number of a trial and the name of a file, each.
        seconds: How long to wait for the storage and the artifact store.
    """
    found = FilesAtHand()
    elsewhere: list[Name] = []
    for number, name in wanted:
        folder = trial_folder(record.folder, number)
        path = folder / name
        if not path.is_file():
            elsewhere.append((number, name))
        elif path.resolve().is_relative_to(folder.resolve()):
            found.paths[number, name] = path
        else:
            # A page is handed on: it shows no other file of this machine.
            found.problem = found.problem or f"{path}: leads out of {folder}"
    url = record.config.study.artifacts
    if not elsewhere or url is None:
        return found
    fetched = FilesAtHand(problem=found.problem)
    # A daemon: a thread that hangs does not keep the program from ending.
    thread = threading.Thread(target=_fetch, args=(record, url, elsewhere, fetched), daemon=True)
    thread.start()
    thread.join(seconds)
    problem = f"{url}: no answer within {seconds:g} s" if thread.is_alive() else fetched.problem
    return FilesAtHand({**found.paths, **fetched.paths.copy()}, problem)


def _fetch(record: StudyRecord, url: str, wanted: Sequence[Name], found: FilesAtHand) -> None:
    """Fetch what there is, and note what went wrong."""
    # They bring the libraries of S3.
    from allocsearch.search.artifacts.fetch import fetch_files
    from allocsearch.search.artifacts.opening import open_store

    try:
        store = open_store(url, NO_PATIENCE)
        for number, file in _links(record, wanted):
            try:
                [path] = fetch_files([file], trial_folder(record.folder, number), store)
            except InputError as error:
                # The others may be there all the same.
                found.problem = found.problem or str(error)
            else:
                found.paths[number, file.filename] = path
    except StorageLostError as error:
        found.problem = f"{url}: {error.cause}"
    except (InputError, StorageError, OSError) as error:
        found.problem = str(error)


def _links(record: StudyRecord, wanted: Sequence[Name]) -> Iterator[tuple[int, StoredFile]]:
    """What the storage of the study says of the files that are in the artifact store."""
    from allocsearch.search.artifacts.links import stored_files

    study = open_study(record.config, record.folder, using=NO_PATIENCE)
    storage = study._storage
    for number in dict.fromkeys(number for number, _ in wanted):
        trial = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
        for file in stored_files(number, storage.get_trial(trial).system_attrs):
            if (number, file.filename) in wanted and file.size <= _MOST:
                yield number, file
