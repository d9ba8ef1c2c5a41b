"""Whether what talks to a storage is installed."""

from __future__ import annotations

from importlib.util import find_spec

from sqlalchemy.engine import make_url
from sqlalchemy.exc import NoSuchModuleError

from allocsearch.config import InputError

_INSTALL = "pip install 'allocsearch[distributed]'"


def check_driver(url: str) -> None:
    """Find out before anything is written.

    Args:
        url: A storage URL.

    Raises:
        InputError: If the driver is unknown or not installed.
    """
    parsed = make_url(url)
    name = parsed.drivername
    if name == "journal":
        return
    if name == "grpc":
        for module in ("grpc", "google.protobuf"):
            if not _is_installed(module):
                raise InputError(f"study.storage: {name}:// needs {module}; {_INSTALL}")
        return
    try:
        parsed.get_dialect().import_dbapi()
    except NoSuchModuleError:
        raise InputError(
            f"study.storage: found the driver {parsed.get_driver_name()} of "
            f"{parsed.get_backend_name()}; allowed: postgresql+psycopg, mysql+pymysql, or another "
            "of SQLAlchemy's"
        ) from None
    except ImportError as error:
        raise InputError(f"study.storage: {name}:// needs {error.name}; {_INSTALL}") from None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        # Of a dotted name, the first part is missing.
        return False
