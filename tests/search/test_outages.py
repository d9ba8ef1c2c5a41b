"""Stops that are nobody's kill: storages and disks that fail, and workers that are suspended."""

from __future__ import annotations

import copy
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from optuna.trial import FrozenTrial, TrialState
from quick_study import PATIENCE, Study

from allocsearch.search.records import PROGRESS, RETRY_OF
from allocsearch.search.storages.heartbeat import HEARTBEAT

FILLER = "filler"
GO_ON = "Interrupted; what had finished is kept. The same command goes on."


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder of runs on a disk of its own."""
    if os.geteuid():
        pytest.skip("only root mounts a disk")
    folder = tmp_path / "runs"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def ended(study: Study, process: subprocess.Popen[bytes], code: int) -> str:
    """The last line of a command that ended so."""
    assert process.wait(PATIENCE) == code, study.output()
    assert "Traceback" not in study.output()
    return (study.home / "output.txt").read_text().splitlines()[-1]


@pytest.fixture
def run_here(main_here, monkeypatch) -> Callable[[Study, int], str]:
    """Let `run` end so in this process, which has its libraries; the last line that it says."""

    def call(study: Study, code: int) -> str:
        monkeypatch.chdir(study.home)
        monkeypatch.syspath_prepend(study.home)
        done = main_here("run", study.file.name)
        with (study.home / "output.txt").open("a") as output:
            output.write(done.out + done.err)
        assert done.code == code, study.output()
        assert "Traceback" not in study.output()
        return (study.home / "output.txt").read_text().splitlines()[-1]

    return call


def test_an_interruption_while_the_database_is_away(postgres, wait_for, tmp_path: Path) -> None:
    url = postgres.database()._replace(password=None).render_as_string()
    study = Study(tmp_path, url, trials=8, workers=2, epochs=4, held=True)
    with study.command("run", study.file.name) as process:
        study.at({2: postgres.stop})
        wait_for(lambda: "the storage fails" in (tmp_path / "output.txt").read_text())
        os.killpg(process.pid, signal.SIGINT)
        assert ended(study, process, 130) == GO_ON
    postgres.start()
    # Its workers find the password in their environment, as those of this process would not.
    with study.command("run", study.file.name) as process:
        ended(study, process, 0)
    study.check_ended(deaths=2)


def test_a_worker_that_is_suspended_for_longer_than_it_may_be_silent(
    wait_for, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    study = Study(tmp_path, url, trials=4, workers=2, epochs=4, heartbeat=0.3, held=True)
    study.begin()
    with study.command("worker", "chaos", "--storage", url) as slow:
        study.at({1: lambda: suspend(slow, tmp_path / "shared.db")})
        with study.command("worker", "chaos", "--storage", url) as other:
            # The other one ends all trials, that of the suspended one as well.
            assert other.wait(PATIENCE) == 0, study.output()
        done = study.trials()
        slow.send_signal(signal.SIGCONT)
        assert slow.wait(PATIENCE) == 0, study.output()
    # It comes too late, and says so.
    assert settled(study.trials()) == settled(done)
    assert "was put back by another process" in study.output()
    assert [t.state for t in done if RETRY_OF in t.user_attrs] == [TrialState.COMPLETE]
    study.check_ended(deaths=1)


def suspend(process: subprocess.Popen[bytes], database: Path) -> None:
    """Suspend a worker that does not hold the lock of SQLite, for which all others would wait."""
    worker = psutil.Process(process.pid)
    while True:
        worker.suspend()
        while worker.status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:
                worker.resume()
            else:
                return


def settled(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """The trials without what their workers told of themselves while they trained.

    Optuna looks whether a trial goes on before it writes an attribute; with SQLite the look is not
    part of the transaction, so that who is suspended between the two writes it late.
    """
    found = copy.deepcopy(trials)
    for trial in found:
        for told in (HEARTBEAT, PROGRESS):
            trial.user_attrs.pop(told, None)
    return found


def fill(disk: Path) -> None:
    with (disk / FILLER).open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(512))


def test_a_disk_that_is_full_for_a_while(disk: Path, run_here, tmp_path: Path) -> None:
    study = Study(
        tmp_path, f"sqlite:///{tmp_path}/elsewhere.db", trials=8, workers=2, epochs=4, held=True
    )
    with ThreadPoolExecutor(1) as other:
        full = other.submit(study.at, {2: lambda: fill(disk)})
        last = run_here(study, 1)
        full.result()
    assert "what has finished is kept, and the same command goes on" in last
    assert last.startswith("runs/chaos: no files can be written there; ")
    (disk / FILLER).unlink()
    run_here(study, 0)
    study.check_ended(deaths=8)


def test_a_disk_with_the_database_on_it_that_is_full_and_then_read_only(
    disk: Path, run_here, tmp_path: Path
) -> None:
    study = Study(tmp_path, None, trials=8, workers=2, epochs=4, held=True)
    with study.command("run", study.file.name) as process:
        study.at({2: lambda: fill(disk)})
        os.killpg(process.pid, signal.SIGINT)
        assert ended(study, process, 130) == GO_ON
    (disk / FILLER).unlink()
    subprocess.run(["mount", "--bind", "-o", "ro", disk, disk], check=True)
    assert run_here(study, 1) == f"{disk}/chaos/.lock: Read-only file system"
    subprocess.run(["umount", disk], check=True)
    run_here(study, 0)
    study.check_ended(deaths=8)


def test_a_run_folder_that_is_removed(run_here, tmp_path: Path) -> None:
    study = Study(
        tmp_path, f"sqlite:///{tmp_path}/elsewhere.db", trials=8, workers=2, epochs=4, held=True
    )
    with ThreadPoolExecutor(1) as other:
        removed = other.submit(
            study.at, {2: lambda: study.run_folder.rename(tmp_path / "elsewhere")}
        )
        last = run_here(study, 1)
        removed.result()
    assert "removed while the study ran" in last
    shutil.rmtree(study.run_folder, ignore_errors=True)
    run_here(study, 0)
    study.check_ended(deaths=8)
