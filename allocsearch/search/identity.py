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
    return f"{host()}:{process.pid}:{process.create_time():.2f}"


def is_dead(identity: str | None) -> bool:
    """Whether a worker is gone. One of another host counts as alive: it cannot be seen from here.

    Args:
        identity: What `own_identity` gave there, or None for a worker that left none.
    """
    if identity is None:
        return True
    where, pid, _ = identity.rsplit(":", 2)
    if where != host():
        return False
    try:
        process = psutil.Process(int(pid))
        return process.status() == psutil.STATUS_ZOMBIE or _identity(process) != identity
    except psutil.NoSuchProcess:
        return True
