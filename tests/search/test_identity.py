from __future__ import annotations

import os
import socket
import subprocess
import sys

import psutil
import pytest

from allocsearch.search.identity import host, is_dead, own_identity


def test_this_process_is_alive_and_keeps_its_identity() -> None:
    assert own_identity() == own_identity()
    assert not is_dead(own_identity())


def test_the_identity_names_host_and_process() -> None:
    where, pid, started = own_identity().rsplit(":", 2)
    assert where.split("/")[0] == socket.gethostname()
    assert int(pid) == os.getpid()
    if sys.platform == "linux":
        started = psutil.boot_time() + int(started) / os.sysconf("SC_CLK_TCK")
    assert float(started) == pytest.approx(psutil.Process().create_time(), abs=1)


def test_a_process_is_dead_once_it_ended_even_before_it_is_reaped() -> None:
    code = (
        "from allocsearch.search.identity import own_identity; print(own_identity(), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}; input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        identity = process.stdout.readline().strip()
        assert identity != own_identity()
        assert not is_dead(identity)
        process.kill()
        # Waits for the end, but leaves the zombie.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(identity)
    assert is_dead(identity)


def test_another_process_with_the_same_number_is_not_it() -> None:
    where, pid, started = own_identity().rsplit(":", 2)
    assert is_dead(f"{where}:{pid}:{float(started) - 100:.2f}")


def test_a_worker_of_another_host_counts_as_alive() -> None:
    _, pid, started = own_identity().rsplit(":", 2)
    assert not is_dead(f"elsewhere.example:{pid}:{started}")
    assert not is_dead("host:with:colons:1:2.00")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems only have the time of day")
def test_a_process_keeps_its_identity_when_the_clock_is_set(monkeypatch) -> None:
    before = own_identity()
    day = 86_400
    moved = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: moved(process) + day)
    assert own_identity() == before
    assert not is_dead(before)


@pytest.mark.parametrize(
    "garbage", ["", ":", "::", "a:b:c", f"{host()}:", f"{host()}:x:1", 7, [1]]
)
def test_what_is_no_identity_is_of_no_process_that_can_be_seen(garbage) -> None:
    assert not is_dead(garbage)


def test_a_worker_that_left_no_identity_counts_as_dead() -> None:
    assert is_dead(None)
