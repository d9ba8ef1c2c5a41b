"""A storage by its URL."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, RDBStorage, get_storage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from allocsearch.search.storages.driver import check_driver
from allocsearch.search.storages.errors import cause_of
from allocsearch.search.storages.grpc_client import GrpcClient
from allocsearch.search.storages.journal import journal_storage

# Seconds.
_CONNECT = 10
_GRPC_PORT = 13000
# A connection whose other end is gone without a word is noticed after a minute.
_LIBPQ = {
    "connect_timeout": _CONNECT,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_DRIVER_ARGUMENTS: dict[str, dict[str, Any]] = {
    # Several workers write to one SQLite file; each waits for its turn rather than fail.
    "pysqlite": {"timeout": 120},
    "psycopg": _LIBPQ,
    "psycopg2": _LIBPQ,
    "pymysql": {"connect_timeout": _CONNECT, "read_timeout": 120, "write_timeout": 120},
}


def storage_file(url: str) -> Path | None:
    """The file that a storage is kept in, for one that is kept in a file."""
    parsed = make_url(url)
    own = parsed.get_backend_name() in ("sqlite", "journal")
    return Path(parsed.database) if own and parsed.database else None


def storage_at(url: str, password: str | None = None) -> BaseStorage:
    """Open a storage; a database gets the tables that it does not have.

    Args:
        url: A storage URL without a password.
        password: For a database that asks for one.

    Raises:
        InputError: If the driver is unknown or not installed.
        ConnectionError: If a proxy does not answer.
        RuntimeError: If the tables are of another version of Optuna.
        OptunaError, sqlalchemy.exc.SQLAlchemyError, OSError: If it cannot be opened otherwise.
    """
    check_driver(url)
    parsed = make_url(url)
    if parsed.drivername == "grpc":
        return _proxy(parsed)
    if (path := storage_file(url)) is not None and parsed.drivername == "journal":
        return journal_storage(path)
    # Workers that open a fresh database together make the same tables: all but one fail.
    retrying = Retrying(
        retry=retry_if_exception(_came_second),
        stop=stop_after_attempt(8),
        wait=wait_random_exponential(multiplier=0.1, max=2),
        reraise=True,
    )
    return retrying(_database, parsed, password)


def _came_second(error: BaseException) -> bool:
    """Whether a database may have refused to make what another has just made."""
    cause = cause_of(error)
    known = isinstance(cause, IntegrityError | ProgrammingError)
    return known or (isinstance(cause, OperationalError) and "already exists" in str(cause))


def _database(url: URL, password: str | None) -> BaseStorage:
    given = _DRIVER_ARGUMENTS.get(url.get_driver_name(), {})
    arguments = {key: value for key, value in given.items() if key not in url.query}
    options: dict[str, Any] = {"connect_args": arguments}
    if url.get_backend_name() != "sqlite":
        options["pool_pre_ping"] = True
        if password is not None:
            # Not in the URL, which errors quote.
            arguments["password"] = password
    # Optuna takes braces for placeholders.
    text = url.render_as_string().replace("{", "{{").replace("}", "}}")
    return get_storage(RDBStorage(text, engine_kwargs=options))


def _proxy(url: URL) -> BaseStorage:
    host = url.host or "localhost"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        proxy = GrpcClient(host=f"[{host}]" if ":" in host else host, port=url.port or _GRPC_PORT)
    proxy.wait_server_ready(timeout=_CONNECT)
    return proxy
