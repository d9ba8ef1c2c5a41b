"""The URL of a storage: which kinds there are, and what may stand in it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from allocsearch.config.errors import shown, suggestion

PASSWORD_VARIABLE = "ALLOCSEARCH_STORAGE_PASSWORD"  # noqa: S105
PASSWORD_FILE_VARIABLE = "ALLOCSEARCH_STORAGE_PASSWORD_FILE"  # noqa: S105

_FILES = ("sqlite", "journal")
_SERVERS = ("postgresql", "mysql", "mariadb", "grpc")
# What drivers take as a password behind the question mark.
_SECRETS = ("password", "passwd", "sslpassword")


def checked_storage_url(text: str) -> str:
    """A storage URL that can be stored: of a known kind, without a password.

    Returns:
        The URL; a file in it is absolute, one that was relative is of the working directory.

    Raises:
        ValueError: With what is allowed. What may be a password is not in the message.
    """
    url = parsed(text)
    if url is None:
        raise ValueError("found no URL; allowed: KIND://..., as postgresql://user@host/database")
    if has_secret(url):
        raise ValueError(
            "found a password in the URL; allowed: none there, it would be stored. Put it into "
            f"the environment variable {PASSWORD_VARIABLE}, or the name of a file that holds it "
            f"into {PASSWORD_FILE_VARIABLE}"
        )
    kind = url.get_backend_name()
    if kind in _FILES:
        return with_absolute_file(url)
    if kind not in _SERVERS:
        found = f"found {shown(text)}, whose kind is {kind}"
        raise ValueError(suggestion(kind, (*_FILES, *_SERVERS), found))
    if kind == "grpc" and (not url.host or url.username or url.database or url.query):
        raise ValueError(f"found {shown(text)}; allowed: grpc://HOST:PORT")
    return text


def split_password(text: str) -> tuple[str, str | None]:
    """A storage URL without its password, and the password, where it has one."""
    url = parsed(text)
    if url is None or not url.password:
        return text, None
    # URL.set leaves a field that is set to None as it is.
    return url._replace(password=None).render_as_string(), url.password


def parsed(text: str) -> URL | None:
    """A URL in its parts; None for a text that is none."""
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        return None


def has_secret(url: URL) -> bool:
    """Whether there is a password in it, before the host or behind the question mark."""
    return bool(url.password) or any(key in url.query for key in _SECRETS)


def with_absolute_file(url: URL) -> str:
    """The URL of a file; one that was relative is of the working directory.

    Raises:
        ValueError: If it is not of a file.
    """
    kind = url.drivername
    if url.host or url.username or not url.database or url.database == ":memory:":
        raise ValueError(
            f"found {shown(str(url))}; allowed: {kind}:///FILE for a file of the working "
            f"directory, {kind}:////FOLDER/FILE for any other"
        )
    if Path(url.database).is_absolute():
        return url.render_as_string()
    return url.set(database=str(Path(url.database).absolute())).render_as_string()
