"""Who runs a trial: the identity of a worker process, and whether it still lives."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

import psutil


def own_identity() -> str:
    """Host, process id and start time of this process; unique over time."""
    return _identity(psutil.Process(os.getpid()))


@cache
def host() -> str:
    """Where processes see each other: the host name, and on Linux its boot and process namespace.

    Containers of one machine can have the same name, and their processes the same numbers.
    """
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().split("-")[0])
        parts.append(str(os.stat("/proc/self/ns/pid").st_ino))
    except OSError:
        return parts[0]
    return "/".join(parts)


def _identity(process: psutil.Process) -> str:
    return f"{host()}:{process.pid}:{_start(process)}"


def _start(process: psutil.Process) -> str:
    """When a process has started."""
    try:
        stat = Path(f"/proc/{process.pid}/stat").read_text()
    except OSError:
        return f"{process.create_time():.2f}"
    # In ticks since the machine started: the time of day changes when somebody sets the clock.
    return stat.rpartition(")")[2].split()[19]


def is_dead(identity: str | None) -> bool:
    """Whether a worker is gone. One of another host counts as alive: it cannot be seen from here.

    Args:
        identity: What `own_identity` gave there, or None for a worker that left none. Anything
            else, which only an edited storage holds, is of no process that can be seen.
    """
    if identity is None:
        return True
    where, _, process_and_start = str(identity).partition(f"{host()}:")
    pid, _, start = process_and_start.partition(":")
    if where or not start or not pid.isdecimal():
        return False
    try:
        process = psutil.Process(int(pid))
        return process.status() == psutil.STATUS_ZOMBIE or _identity(process) != identity
    except psutil.NoSuchProcess:
        return True
