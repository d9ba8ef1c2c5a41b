"""Workers that race for the trials of one study, on each kind of storage."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from pathlib import Path

from optuna.trial import TrialState

from allocsearch.config import StudyConfig
from allocsearch.search.records import ALLOCATION, INTERRUPTED, REPLICATE, SLOT
from allocsearch.search.slots import claim, fill
from allocsearch.search.storage import PATIENCE, open_study
from allocsearch.spaces import build_space

WORKERS, TRIALS = 8, 40
# What a fork has imported need not be imported again.
context = multiprocessing.get_context("fork")


def config_of(url: str, trials: int = TRIALS) -> StudyConfig:
    return StudyConfig.model_validate(
        {
            "study": {
                "storage": url,
                "trials": trials,
                "sampler": "random",
                "objectives": ["max:retention", "min:attenuation"],
            },
            "search_space": {"budget": 8},
            "data": {"id": "digits"},
        }
    )


def work(config: StudyConfig, folder: Path) -> None:
    study = open_study(config, folder, create=True, opening=PATIENCE)
    space = build_space(config.search_space)
    fill(study, config, space)
    while (trial := claim(study, config, space, str(os.getpid()))) is not None:
        dims = space.suggest(trial).dims
        study.tell(trial, [float(dims[0]), float(dims[-1])])


def race(config: StudyConfig, folder: Path, workers: int) -> list:
    """Let that many processes open the empty storage, fill it and work; the trials at the end."""
    processes = [context.Process(target=work, args=(config, folder)) for _ in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(600)
        assert process.exitcode == 0
    receiver, sender = context.Pipe(duplex=False)

    # grpc does not survive a fork: this process must not begin with it.
    def read() -> None:
        sender.send(open_study(config, folder).trials)

    reader = context.Process(target=read)
    reader.start()
    trials = receiver.recv()
    reader.join()
    return trials


def test_no_trial_is_claimed_twice_and_nothing_settled_twice(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    trials = race(config_of(url), folder, WORKERS)
    live = [trial for trial in trials if not trial.user_attrs.get(INTERRUPTED)]
    assert Counter(trial.state for trial in live) == {TrialState.COMPLETE: TRIALS}
    assert sorted(trial.user_attrs[SLOT] for trial in live) == list(range(TRIALS))
    settled = {(trial.user_attrs[ALLOCATION], trial.user_attrs[REPLICATE]) for trial in live}
    assert len(settled) == TRIALS
    assert list(folder.iterdir()) == []
    # Each worker has filled the study, and none has filled in what another one had.
    assert len(trials) == len(live)
