"""Who runs a trial: the identity of a worker process, and whether it still lives."""

from __future__ import annotations

import os
import socket

import psutil


def own_identity() -> str:
    """Host, process id and start time of this process; unique over time."""
    return _identity(psutil.Process(os.getpid()))


def _identity(process: psutil.Process) -> str:
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


def is_dead(identity: str | None) -> bool:
    """Whether a worker is gone. One of another host counts as alive: it cannot be seen from here.

    Args:
        identity: What `own_identity` gave there, or None for a worker that left none.
    """
    if identity is None:
        return True
    host, pid, _ = identity.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        return process.status() == psutil.STATUS_ZOMBIE or _identity(process) != identity
    except psutil.NoSuchProcess:
        return True
