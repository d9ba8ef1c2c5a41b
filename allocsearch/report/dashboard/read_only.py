"""What a web application that can change a study is let do: show it, and take notes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from optuna.artifacts.exceptions import ArtifactNotFound

from allocsearch.search.storage import StorageLostError

if TYPE_CHECKING:
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_NOTE = re.compile(r"/api/studies/\d+(/\d+)?/note/?")
_FILES = "/artifacts/"
# A file of a trial is shown without scripts, and to no other site.
_FILE_HEADERS = [("Content-Security-Policy", "sandbox"), ("X-Content-Type-Options", "nosniff")]
_SHARED = "access-control-allow-origin"


class ReadOnly:
    """Optuna's dashboard without all that could break a study.

    Its API can delete and rename studies, end running trials and give them values, write
    attributes and add and remove files, for whoever reaches it.

    Args:
        app: The dashboard, which raises what it does not handle.
        hosts: The names that it is asked for by; None for any. Otherwise a web site could have
            its visitors' browsers read from here by a name of its own.
    """

    def __init__(self, app: WSGIApplication, hosts: Collection[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        path = environ.get("PATH_INFO", "")
        host = _name(environ.get("HTTP_HOST", ""))
        if self._hosts is not None and host and host not in self._hosts:
            allowed = ", ".join(sorted(self._hosts))
            return _refused(start, "403 Forbidden", f"found the host {host}; allowed: {allowed}")
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD") and not (method == "PUT" and _NOTE.fullmatch(path)):
            said = "this dashboard shows studies and takes notes; it changes nothing else"
            return _refused(start, "403 Forbidden", said)
        begin = _private(start) if path.startswith(_FILES) else start
        try:
            return self._app(environ, begin)
        except ArtifactNotFound:
            return _refused(start, "404 Not Found", "the artifact store has no such file")
        except StorageLostError as error:
            said = f"{error.what} fails: {error.cause}"
            return _refused(start, "503 Service Unavailable", said)


def _name(host: str) -> str:
    """The host without its port."""
    bare = re.sub(r":\d*$", "", host)
    return bare.strip("[]").lower()


def _private(start: StartResponse) -> StartResponse:
    def begin(
        status: str,
        headers: list[tuple[str, str]],
        info: tuple[type[BaseException], BaseException, TracebackType]
        | tuple[None, None, None]
        | None = None,
        /,
    ) -> object:
        kept = [(name, value) for name, value in headers if name.lower() != _SHARED]
        return start(status, [*kept, *_FILE_HEADERS], info)

    return begin  # type: ignore[return-value]


def _refused(start: StartResponse, status: str, reason: str) -> Iterable[bytes]:
    content = json.dumps({"reason": reason}).encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
    return [content]
