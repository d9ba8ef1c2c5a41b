from __future__ import annotations

import importlib.util
import sys

import pytest

from allocsearch.config import InputError
from allocsearch.search.storages import driver
from allocsearch.search.storages.driver import check_driver


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////study.db",
        "journal:////study.log",
        "grpc://host:1",
        "postgresql://host/db",
        "postgresql+psycopg://host/db",
        "mysql+pymysql://host/db",
        "mariadb+pymysql://host/db",
    ],
)
def test_what_is_installed_is_found_without_a_connection(url: str) -> None:
    check_driver(url)


@pytest.mark.parametrize(
    ("url", "module"),
    [
        ("postgresql+psycopg://host/db", "psycopg"),
        ("mysql+pymysql://host/db", "pymysql"),
    ],
)
def test_a_driver_that_is_missing_is_one_line(url: str, module: str, monkeypatch) -> None:
    # What makes `import` say that there is no such module.
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError) as raised:
        check_driver(url)
    message = str(raised.value)
    assert message.startswith(f"study.storage: {url.partition(':')[0]}:// needs {module}")
    assert message.endswith("pip install 'allocsearch[distributed]'")


@pytest.mark.parametrize("missing", ["grpc", "google.protobuf"])
def test_a_proxy_needs_two_packages(missing: str, monkeypatch) -> None:
    def find(module: str) -> object:
        return None if module == missing else importlib.util.find_spec(module)

    monkeypatch.setattr(driver, "find_spec", find)
    with pytest.raises(InputError, match=f"grpc:// needs {missing}; pip install"):
        check_driver("grpc://host:1")


def test_an_unknown_driver_is_one_line() -> None:
    with pytest.raises(
        InputError, match=r"the driver nosuch of postgresql; allowed: postgresql\+"
    ):
        check_driver("postgresql+nosuch://host/db")
