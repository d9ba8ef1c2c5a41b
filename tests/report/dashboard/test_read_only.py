"""What a dashboard is let do, and what not."""

from __future__ import annotations

import json

import pytest
from optuna.artifacts.exceptions import ArtifactNotFound

from allocsearch.report.dashboard.read_only import ReadOnly
from allocsearch.search.storages.errors import ArtifactStoreLostError, StorageLostError


def asked(app, method="GET", path="/", host="127.0.0.1:8080"):
    """Status, headers and content of an answer."""
    begun = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "HTTP_HOST": host}
    content = b"".join(
        app(environ, lambda status, headers, info=None: begun.append((status, headers)))
    )
    [(status, headers)] = begun
    return int(status.split()[0]), dict(headers), content


def shown(environ, start):
    start("200 OK", [("Content-Type", "text/html"), ("Access-Control-Allow-Origin", "*")])
    return [b"shown"]


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "OPTIONS", "PUT", "post"])
@pytest.mark.parametrize(
    "path",
    [
        *("/api/studies", "/api/studies/1", "/api/studies/1/rename", "/api/trials/1/tell"),
        *("/api/artifacts/1/2/3", "/api/studies/1/note/../rename", "/api/studies/x/note", "/"),
        *("/api/studies/1/note\n", "//api/studies/1/note", "/api/studies/1/preference"),
    ],
)
def test_nothing_is_changed(method, path):
    code, _, content = asked(ReadOnly(shown, None), method, path)
    assert code == 403
    assert json.loads(content)["reason"].startswith("this dashboard shows studies and takes notes")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "/api/studies/1"), ("HEAD", "/"), ("PUT", "/api/studies/12/note")),
        *(("PUT", "/api/studies/1/23/note"), ("PUT", "/api/studies/1/23/note/")),
    ],
)
def test_studies_are_shown_and_notes_taken(method, path):
    assert asked(ReadOnly(shown, None), method, path)[0] == 200


@pytest.mark.parametrize(
    ("host", "code"),
    [
        *(("127.0.0.1:8080", 200), ("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:8080", 200)),
        *(("evil.example", 403), ("127.0.0.1.evil.example:8080", 403), ("", 200)),
    ],
)
def test_a_name_that_is_not_its_own_is_refused(host, code):
    app = ReadOnly(shown, {"localhost", "127.0.0.1", "::1"})
    assert asked(app, host=host)[0] == code
    assert asked(ReadOnly(shown, None), host=host)[0] == 200


def test_a_file_of_a_trial_is_no_page_of_the_dashboard():
    _, headers, content = asked(ReadOnly(shown, None), path="/artifacts/1/2/abc")
    assert content == b"shown"
    assert headers["Content-Security-Policy"] == "sandbox"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (ArtifactNotFound("x"), 404, "the artifact store has no such file"),
        (StorageLostError("lost"), 503, "the storage fails: lost"),
        (ArtifactStoreLostError("lost"), 503, "the artifact store fails: lost"),
    ],
)
def test_what_fails_is_said(error, code, reason):
    def failing(environ, start):
        raise error

    found, _, content = asked(ReadOnly(failing, None))
    assert (found, json.loads(content)) == (code, {"reason": reason})
