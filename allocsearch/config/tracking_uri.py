"""The URI of an MLflow tracking server: which kinds there are, and what may stand in it."""

from __future__ import annotations

from allocsearch.config.errors import shown, suggestion
from allocsearch.config.storage_url import has_secret, parsed, with_absolute_file

_SERVERS = ("http", "https")
_DATABASES = ("postgresql", "mysql")


def checked_tracking_uri(text: str) -> str:
    """A tracking URI that can be stored: of a known kind, without a secret.

    Returns:
        The URI; an SQLite file in it is absolute, one that was relative is of the working
        directory.

    Raises:
        ValueError: With what is allowed. What may be a secret is not in the message.
    """
    url = parsed(text)
    if url is None:
        raise ValueError("found no URI; allowed: http://HOST:PORT, or sqlite:///FILE")
    kind = url.get_backend_name()
    if kind in _SERVERS:
        if url.username or url.password or url.query:
            raise ValueError(
                "found a name, a password or a query in the URI; allowed: none there, it would "
                "be stored. MLflow takes them from the environment variables "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            )
        if not url.host:
            raise ValueError(f"found {shown(text)}; allowed: {kind}://HOST:PORT")
        return text
    if has_secret(url):
        raise ValueError(
            "found a password in the URI; allowed: none there, it would be stored. Put it where "
            "the driver finds it, as ~/.pgpass, or have a tracking server in front"
        )
    if kind == "sqlite":
        return with_absolute_file(url)
    if kind not in _DATABASES:
        # MLflow itself refuses plain folders by now.
        found = f"found {shown(text)}, whose kind is {kind}"
        raise ValueError(suggestion(kind, (*_SERVERS, "sqlite", *_DATABASES), found))
    return text
