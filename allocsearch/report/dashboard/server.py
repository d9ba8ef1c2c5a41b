"""Optuna's dashboard on the storage of a run."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from allocsearch.config import InputError
from allocsearch.report.dashboard.overlay import Overlay
from allocsearch.report.dashboard.read_only import ReadOnly
from allocsearch.search.storage import NO_PATIENCE, load_run_config, open_study

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    import optuna

_NEEDED = ("optuna_dashboard", "waitress")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_THREADS = 8


@dataclass(frozen=True)
class Dashboard:
    """A dashboard that listens, and answers once it serves.

    Attributes:
        url: Of the study.
        studies: How many the storage has; all are shown.
        artifacts: Where files of trials are shown from; None for nowhere.
        is_private: Whether only this machine reaches it.
        serve: Answers until SIGINT or SIGTERM.
    """

    url: str
    studies: int
    artifacts: str | None
    is_private: bool
    serve: Callable[[], None]


@contextmanager
def open_dashboard(folder: Path, host: str, port: int) -> Iterator[Dashboard]:
    """Open the dashboard of a run folder.

    Args:
        folder: The run folder.
        host: Name or address of this machine that it listens on.
        port: 0 for any that is free.

    Raises:
        InputError: If `folder` is no run folder, the dashboard is not installed, the driver or
            the password of the storage is missing, the artifact store cannot be opened, or it
            cannot listen on host and port.
        StorageError: If the storage cannot be opened, or has no such study.
    """
    config = load_run_config(folder)
    for name in _NEEDED:
        if find_spec(name) is None:
            raise InputError(f"dashboard: needs {name}; pip install 'allocsearch[dashboard]'")
    # No page waits for a storage that is away.
    study = open_study(config, folder, using=NO_PATIENCE)
    with _listening(host, port) as listener:
        address, found = listener.getsockname()[:2]
        is_private = ipaddress.ip_address(address).is_loopback
        hosts = frozenset((*_LOOPBACK, host.lower(), address)) if is_private else None
        overlay = Overlay(study, config, folder)
        app = ReadOnly(_application(study, config.study.artifacts), hosts)
        waitress = import_module("waitress")
        # A page asks for more at once than there are threads, which is no matter.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        server = waitress.create_server(app, sockets=[listener], threads=_THREADS)
        named = f"[{host}]" if ":" in host else host
        overlay.start()
        try:
            yield Dashboard(
                url=f"http://{named}:{found}/dashboard/studies/{study._study_id}",
                studies=len(study._storage.get_all_studies()),
                artifacts=config.study.artifacts,
                is_private=is_private,
                serve=server.run,
            )
        finally:
            overlay.close()


def _application(study: optuna.Study, artifacts: str | None) -> WSGIApplication:
    # It imports scikit-learn, and the other one boto3.
    import optuna_dashboard

    store = None
    if artifacts is not None:
        from allocsearch.search.artifacts.opening import open_store

        store = open_store(artifacts, NO_PATIENCE)
    app: WSGIApplication = optuna_dashboard.wsgi(study._storage, store)
    # What its views do not handle is for `ReadOnly` to answer.
    app.catchall = False  # type: ignore[attr-defined]
    return app


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"dashboard: --host {host} --port {port}: {reason}; allowed: an address of this "
            "machine, and a port that is free, or 0 for any"
        ) from None
