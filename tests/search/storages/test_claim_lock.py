from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from functools import partial
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.storages import JournalStorage

from allocsearch.search.storages import claim_lock as module
from allocsearch.search.storages.claim_lock import claim_lock
from allocsearch.search.storages.errors import LockLostError
from allocsearch.search.storages.journal import journal_storage
from allocsearch.search.storages.lease import shared_lock

context = multiprocessing.get_context("fork")


def study_in(folder: Path, kind: str) -> optuna.Study:
    storage: str | JournalStorage = f"sqlite:///{folder}/study.db"
    if kind == "journal":
        storage = journal_storage(folder / "study.log")
    return optuna.create_study(study_name="s", storage=storage, load_if_exists=True)


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_suspended_holder_stops_nobody_and_learns_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(module, "shared_lock", partial(shared_lock, lease=0.5))
    held, go_on = context.Event(), context.Event()

    def hold() -> None:
        with claim_lock(study_in(tmp_path, kind)):
            held.set()
            assert go_on.wait(60)

    def lose() -> None:
        with pytest.raises(LockLostError):
            hold()

    study = study_in(tmp_path, kind)
    holder = context.Process(target=lose)
    holder.start()
    assert held.wait(60)
    os.kill(holder.pid, signal.SIGSTOP)
    while psutil.Process(holder.pid).status() != psutil.STATUS_STOPPED:
        pass
    # Else a lock that stays with its holder would let this wait for ever.
    patience = threading.Timer(60, holder.kill)
    patience.start()
    with claim_lock(study):
        patience.cancel()
        os.kill(holder.pid, signal.SIGCONT)
        go_on.set()
        holder.join(60)
    assert holder.exitcode == 0
