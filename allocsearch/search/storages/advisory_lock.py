"""A lock in a database, which frees it when the connection of its holder ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from allocsearch.search.storages.errors import LockLostError
from allocsearch.search.storages.patience import Patience

# The server notices a machine that is gone without a word after a minute.
_POSTGRESQL_KEEPALIVES = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
# Seconds. MySQL cannot be told to look for such machines, but to end connections that are silent.
_MYSQL_SILENCE = 600
_MYSQL_WAIT = 10


@contextmanager
def advisory_lock(engine: Engine, name: str, patience: Patience) -> Iterator[None]:
    """Hold the lock `name` of a database of PostgreSQL, MySQL or MariaDB.

    Raises:
        LockLostError: If the connection, and with it the lock, was lost meanwhile.
    """
    acquire, release = _METHODS["postgresql" if engine.dialect.name == "postgresql" else "mysql"]
    key = hashlib.sha256(f"{engine.url.database}/{name}".encode()).digest()

    def acquired() -> Connection:
        connection = engine.connect()
        try:
            acquire(connection, key)
        except BaseException:
            _hang_up(connection)
            raise
        return connection

    with patience.call(acquired) as connection:
        try:
            yield
        except BaseException:
            _hang_up(connection)
            raise
        try:
            held = release(connection, key)
        except SQLAlchemyError:
            held = False
    if not held:
        raise LockLostError(f"the lock of {name} was lost")


def _hang_up(connection: Connection) -> None:
    # A connection that goes back to the pool would take the lock of a MySQL session with it.
    connection.invalidate()
    connection.close()


def _acquire_postgresql(connection: Connection, key: bytes) -> None:
    # Of a transaction, and not of a session: a connection pooler may share sessions.
    for setting, value in _POSTGRESQL_KEEPALIVES.items():
        connection.execute(text("SELECT set_config(:s, :v, true)"), {"s": setting, "v": value})
    number = int.from_bytes(key[:8], signed=True)
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": number})


def _release_postgresql(connection: Connection, key: bytes) -> bool:
    connection.commit()
    return True


def _acquire_mysql(connection: Connection, key: bytes) -> None:
    connection.execute(text(f"SET SESSION wait_timeout = {_MYSQL_SILENCE}"))
    question = text("SELECT GET_LOCK(:name, :seconds)")
    # In turns, so that no answer is waited for longer than the driver waits for one.
    while connection.scalar(question, {"name": key.hex()[:32], "seconds": _MYSQL_WAIT}) != 1:
        pass


def _release_mysql(connection: Connection, key: bytes) -> bool:
    question = text("SELECT RELEASE_LOCK(:name)")
    return bool(connection.scalar(question, {"name": key.hex()[:32]}))


_METHODS = {
    "postgresql": (_acquire_postgresql, _release_postgresql),
    "mysql": (_acquire_mysql, _release_mysql),
}
