"""A real PostgreSQL: its lock, its restarts, and what is said when it refuses."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import Engine, event

from allocsearch.config import StudyConfig
from allocsearch.search.records import INTERRUPTED, SLOT
from allocsearch.search.slots import claim, fill
from allocsearch.search.storage import StorageError, open_study
from allocsearch.search.storages.advisory_lock import advisory_lock
from allocsearch.search.storages.errors import LockLostError
from allocsearch.search.storages.patience import Patience
from allocsearch.spaces import build_space

TRIALS = 12


@pytest.fixture
def config(postgres) -> StudyConfig:
    url = postgres.database()._replace(password=None).render_as_string()
    return StudyConfig.model_validate(
        {
            "study": {
                "storage": url,
                "trials": TRIALS,
                "sampler": "random",
                "objectives": ["max:retention", "min:attenuation"],
            },
            "search_space": {"budget": 8},
            "data": {"id": "digits"},
        }
    )


@pytest.fixture
def study(config: StudyConfig, tmp_path: Path) -> optuna.Study:
    return open_study(config, tmp_path, create=True)


@pytest.fixture
def engine(study: optuna.Study) -> Engine:
    return study._storage._backend.engine


def hang_up(postgres) -> None:
    """End all connections of the user, as a lost network does."""
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ann'"
    )


def waiting(postgres) -> int:
    return postgres.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    )[0][0]


def test_the_lock_is_waited_for(postgres, engine: Engine, wait_for) -> None:
    got = threading.Event()

    def wait() -> None:
        with advisory_lock(engine, "s", Patience()):
            got.set()

    other = threading.Thread(target=wait)
    with advisory_lock(engine, "s", Patience()):
        with advisory_lock(engine, "another", Patience()):
            other.start()
        wait_for(lambda: waiting(postgres) == 1)
        assert not got.is_set()
    other.join(60)
    assert got.is_set()


def test_an_error_frees_the_lock(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), advisory_lock(engine, "s", Patience()):
        raise ZeroDivisionError
    with advisory_lock(engine, "s", Patience()):
        pass


def test_whoever_lost_the_lock_is_told(postgres, engine: Engine) -> None:
    with pytest.raises(LockLostError), advisory_lock(engine, "s", Patience()):
        hang_up(postgres)
    with advisory_lock(engine, "s", Patience()):
        pass


def test_trials_are_read_again_when_the_connection_is_lost_in_between(
    postgres, config: StudyConfig, study: optuna.Study, engine: Engine, capfd
) -> None:
    space = build_space(config.search_space)
    fill(study, config, space)
    trial = claim(study, config, space, "worker")
    assert trial is not None
    study.tell(trial, [0.0, 0.0])
    assert len(study.get_trials()) == TRIALS
    left = iter([True])

    def lose(connection, cursor, statement: str, *_) -> None:
        # The query of the trials, which follows others of the same session.
        if "trial_id IN" in statement.replace("trials.", "") and next(left, False):
            hang_up(postgres)

    event.listen(engine, "before_cursor_execute", lose)
    assert len(study.get_trials()) == TRIALS
    assert next(left, "lost") == "lost"
    # What the user is told has no SQL in it.
    assert "SELECT" not in capfd.readouterr().err


@pytest.mark.parametrize("restart", [True, False])
def test_nothing_is_lost_with_the_server(
    postgres, config: StudyConfig, study: optuna.Study, restart: bool
) -> None:
    """It goes away while trials run, and comes back while their ends are told."""
    space = build_space(config.search_space)
    fill(study, config, space)
    told = {}
    for step in range(TRIALS):
        trial = claim(study, config, space, "worker")
        assert trial is not None
        space.suggest(trial)
        back = None
        if step % 4 == 1 and restart:
            postgres.stop()
            back = threading.Timer(0.3, postgres.start)
            back.start()
        elif not restart:
            hang_up(postgres)
        told[trial.user_attrs[SLOT]] = [float(step), float(-step)]
        study.tell(trial, told[trial.user_attrs[SLOT]])
        if back is not None:
            back.join()
    assert claim(study, config, space, "worker") is None
    live = [trial for trial in study.trials if not trial.user_attrs.get(INTERRUPTED)]
    assert Counter(trial.state for trial in live) == {TrialState.COMPLETE: TRIALS}
    assert {trial.user_attrs[SLOT]: trial.values for trial in live} == told


@pytest.mark.parametrize(
    ("password", "parts"),
    [
        ("wr0ng", ["password authentication failed"]),
        (None, ["no password supplied", "ALLOCSEARCH_STORAGE_PASSWORD"]),
    ],
)
def test_a_password_that_is_refused_is_one_line(
    config: StudyConfig, tmp_path: Path, monkeypatch, password: str | None, parts: list[str]
) -> None:
    monkeypatch.delenv("ALLOCSEARCH_STORAGE_PASSWORD")
    if password is not None:
        (tmp_path / "secret").write_text(f"{password}\n")
        monkeypatch.setenv("ALLOCSEARCH_STORAGE_PASSWORD_FILE", str(tmp_path / "secret"))
    with pytest.raises(StorageError) as raised:
        open_study(config, tmp_path, create=True)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path}: the storage cannot be opened: ")
    assert "\n" not in message
    assert "wr0ng" not in message
    for part in parts:
        assert part in message
