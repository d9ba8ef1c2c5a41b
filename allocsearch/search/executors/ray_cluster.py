"""The Ray cluster of a run: a local one of its own, or one that is there."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url

from allocsearch.config import InputError, RaySection, StudyConfig, checked_ray_address
from allocsearch.search.executors.executor import WorkerError

if TYPE_CHECKING:
    from types import ModuleType

_ADDRESS_VARIABLE = "RAY_ADDRESS"
# Seconds.
_CONNECT = 10.0
# Nothing but short messages goes through it; Ray would take a third of the memory.
_OBJECT_STORE = 80 * 2**20


@dataclass(frozen=True)
class Request:
    """What one worker asks of a node, in Ray's words."""

    num_cpus: float
    num_gpus: float


@contextmanager
def cluster(config: StudyConfig) -> Iterator[Request]:
    """Connect to the cluster of a study, or start a local one; leave it, or stop it, at the end.

    Args:
        config: The study.

    Yields:
        What each of its workers asks for; at least one node has as much.

    Raises:
        InputError: If Ray is not installed, there is no cluster at the address, no node has what
            one worker asks for, or the storage is not one that several machines can use.
        WorkerError: If a local Ray does not start.
    """
    address = cluster_address(config.ray)
    if address is not None:
        _check_storage(config.study.storage, address)
        _check_answer(address)
    ray = _installed()
    try:
        _connect(ray, address)
        yield feasible_request(config, [n["Resources"] for n in ray.nodes() if n["Alive"]])
    finally:
        ray.shutdown()


def cluster_address(section: RaySection) -> str | None:
    """Where the cluster is; None for a local one of our own.

    Raises:
        InputError: If the environment names no such address.
    """
    found = os.environ.get(_ADDRESS_VARIABLE)
    if section.address is not None or not found or found == "local":
        return section.address
    try:
        return checked_ray_address(found)
    except ValueError as error:
        raise InputError(f"{_ADDRESS_VARIABLE}: {error}") from None


def _check_storage(url: str | None, address: str) -> None:
    if url is None or make_url(url).get_backend_name() == "sqlite":
        raise InputError(
            f"study.storage: found SQLite, which is for one machine; allowed with the Ray cluster "
            f"at {address}: journal:///FILE of a shared file system, postgresql+psycopg://, "
            "mysql+pymysql://, grpc://"
        )


def _check_answer(address: str) -> None:
    """Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"ray.address: {address}: no Ray cluster answers there: {reason}"
        ) from None


def _installed() -> ModuleType:
    try:
        ray = import_module("ray")
    except ImportError as error:
        raise InputError(
            f"study.executor: 'ray' needs {error.name}; pip install 'allocsearch[distributed]'"
        ) from None
    # Its one switch for what the cluster tells about tasks that it tries again.
    ray._private.worker._worker_logs_enabled = False
    return ray


def _connect(ray: ModuleType, address: str | None) -> None:
    options: dict[str, Any] = {}
    if address is None:
        # It would report to its makers.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options = {"object_store_memory": _OBJECT_STORE, "include_dashboard": False}
    on_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    quiet = nullcontext() if address is None else _quiet()
    try:
        with quiet:
            ray.init(
                address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **options
            )
    except SystemExit:
        # Ray's own answer to SIGTERM.
        raise KeyboardInterrupt from None
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        if address is None:
            raise WorkerError(f"Ray does not start: {line}") from None
        more = "; a cluster that asks for a token needs RAY_AUTH_MODE=token"
        hint = more if isinstance(error, ConnectionError) else ""
        raise InputError(f"ray.address: {address}: {line}{hint}") from None
    finally:
        if on_main:
            signal.signal(signal.SIGTERM, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what Ray's C++ writes to the error output; it says the same in its exception."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def feasible_request(config: StudyConfig, nodes: Sequence[dict[str, float]]) -> Request:
    """What one worker asks for, `auto` resolved.

    Args:
        config: The study.
        nodes: The resources that each node has in all, by Ray's names.

    Raises:
        InputError: If no node has as much.
    """
    section = config.ray
    most_gpus = max((node.get("GPU", 0.0) for node in nodes), default=0.0)
    cpus: float = config.training.threads if section.num_cpus == "auto" else section.num_cpus
    gpus = section.num_gpus
    if gpus == "auto":
        gpus = 1.0 if most_gpus >= 1 and config.training.device != "cpu" else 0.0
    if gpus > most_gpus:
        raise InputError(
            f"ray.num_gpus: found {gpus:g}; allowed: at most {most_gpus:g}, the GPUs of the node "
            "that has most"
        )
    most_cpus = max((n.get("CPU", 0.0) for n in nodes if n.get("GPU", 0.0) >= gpus), default=0.0)
    if cpus > most_cpus:
        of = " from training.threads" if section.num_cpus == "auto" else ""
        having = f" with {gpus:g} GPUs" if gpus else ""
        raise InputError(
            f"ray.num_cpus: found {cpus:g}{of}; allowed: at most {most_cpus:g}, the CPUs of the "
            f"node{having} that has most"
        )
    return Request(cpus, gpus)
