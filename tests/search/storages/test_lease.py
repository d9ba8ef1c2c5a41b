from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import SoftFileLease, Timeout

from allocsearch.search.storages.lease import shared_lock

context = multiprocessing.get_context("fork")


def kill_a_holder(hold: Callable[[Callable[[], None]], None]) -> None:
    """Kill a process that says that it holds a lock."""
    held = context.Event()
    holder = context.Process(target=hold, args=(held.set,))
    holder.start()
    assert held.wait(60)
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()


def test_a_killed_holder_loses_the_lock(tmp_path: Path) -> None:
    path = tmp_path / ".lock"

    def hold(tell: Callable[[], None]) -> None:
        with shared_lock(path):
            tell()
            signal.pause()

    kill_a_holder(hold)
    assert path.read_text()
    with shared_lock(path) as lock:
        assert lock.is_lock_held_by_us
    assert not path.exists()


def test_one_that_was_killed_before_its_name_was_in_the_file_loses_it_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".lock"

    def hold(tell: Callable[[], None]) -> None:
        def pause(lock: SoftFileLease, descriptor: int) -> None:
            tell()
            signal.pause()

        monkeypatch.setattr(SoftFileLease, "_write_lock_info", pause)
        shared_lock(path).acquire()

    kill_a_holder(hold)
    assert path.read_text() == ""
    # It could be alive, as far as one can see.
    with pytest.raises(Timeout):
        shared_lock(path, lease=60).acquire(blocking=False)
    with shared_lock(path, lease=0.3).acquire(timeout=60) as lock:
        assert lock.is_lock_held_by_us
        with pytest.raises(Timeout):
            shared_lock(path, lease=0.3).acquire(blocking=False)
    assert list(tmp_path.iterdir()) == []
