"""The dashboard as a process of its own, asked as a browser would."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from allocsearch.config import load
from allocsearch.report.dashboard import server as dashboard_module
from allocsearch.report.dashboard.text import warning
from allocsearch.search.artifacts.links import stored_files
from allocsearch.search.artifacts.opening import open_store
from allocsearch.search.artifacts.upload import upload_files
from allocsearch.search.storage import NO_PATIENCE, open_study, trial_folder

COMMAND = Path(sys.executable).with_name("allocsearch")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


class Server:
    """A dashboard of a study with a finished trial and its file."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [COMMAND, "dashboard", "runs/quickstart", "--port", "0"],
            cwd=home,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = [self.process.stdout.readline() for _ in range(2)]
        self.url = self.said[0].split()[0]
        self.root = self.url.partition("/dashboard")[0]

    def ask(self, path, method="GET", content=None):
        """Status and content of an answer."""
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.root + path, data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


def _study(home, write_study):
    """A study with a finished trial, and one of somebody else in the same storage."""
    sections = {
        "study": {
            "name": "quickstart",
            "objectives": ["min:loss"],
            "artifacts": str(home / "files"),
        },
        "trainer": {"kind": "callable", "function": "own:train"},
    }
    config = load(write_study(home / "tiny.toml", **sections))
    folder = home / "runs" / "quickstart"
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(config.to_toml())
    study = open_study(config, folder, create=True)
    trial = study.ask()
    trial.set_user_attr("allocation", "3-9")
    files = trial_folder(folder, 0)
    files.mkdir(parents=True)
    (files / "page.html").write_text(HOSTILE)
    store = open_store(config.study.artifacts, NO_PATIENCE)
    upload_files(files, store, study._storage, trial._trial_id)
    study.tell(trial, 1.5)
    other = study._storage.create_new_study(study.directions, HOSTILE)
    study._storage.set_study_user_attr(other, HOSTILE, HOSTILE)
    study._storage.set_study_system_attr(other, "study:metric_names", [HOSTILE])
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory, write_study):
    home = tmp_path_factory.mktemp("home")
    started = Server(home, _study(home, write_study))
    yield started
    started.process.kill()
    started.process.communicate()


def test_it_says_where_it_is_and_what_it_shows(server):
    assert server.url.startswith("http://127.0.0.1:")
    assert server.said[0].endswith("/dashboard/studies/1  (Ctrl-C ends it)\n")
    assert "all 2 studies of the storage, and files of trials in " in server.said[1]
    assert "there is no password. Nothing else can be changed or deleted." in server.said[1]
    code, page = server.ask("/")
    assert code == 200
    assert b"<html" in page


def test_the_study_is_there_with_the_names_of_its_objectives(server):
    code, content = server.ask("/api/studies")
    names = [found["study_name"] for found in json.loads(content)["study_summaries"]]
    assert (code, names) == (200, ["quickstart", HOSTILE])
    detail = json.loads(server.ask("/api/studies/1")[1])
    assert detail["objective_names"] == ["loss"]
    [trial] = detail["trials"]
    assert trial["values"] == [1.5]
    assert {"key": "allocation", "value": "3-9"} in trial["user_attrs"]


def test_files_of_trials_are_shown(server):
    config = load(server.folder / "study.toml")
    trial = open_study(config, server.folder).trials[0]
    [file] = stored_files(0, trial.system_attrs)
    code, content = server.ask(f"/artifacts/1/{trial._trial_id}/{file.artifact_id}")
    assert (code, content.decode()) == (200, HOSTILE)
    (server.folder.parents[1] / "files" / file.artifact_id).rename(server.folder / "kept")
    code, content = server.ask(f"/artifacts/1/{trial._trial_id}/{file.artifact_id}")
    (server.folder / "kept").rename(server.folder.parents[1] / "files" / file.artifact_id)
    assert (code, json.loads(content)["reason"]) == (404, "the artifact store has no such file")


def test_nothing_but_notes_is_written(server):
    before = server.ask("/api/studies/1")
    for method, path, content in [
        ("DELETE", "/api/studies/1", {}),
        ("POST", "/api/studies/1/rename", {"study_name": "other"}),
        ("POST", "/api/studies", {"study_name": "new", "directions": ["minimize"]}),
        ("POST", "/api/trials/1/user-attrs", {"user_attrs": {"slot": 1}}),
    ]:
        assert server.ask(path, method, content)[0] == 403
    assert server.ask("/api/studies/1") == before
    note = {"version": 1, "body": HOSTILE}
    assert server.ask("/api/studies/2/note", "PUT", note)[0] == 204
    assert json.loads(server.ask("/api/studies/2")[1])["note"] == note


def test_it_listens_on_this_machine_alone(server):
    listening = [
        found.laddr.ip
        for found in psutil.Process(server.process.pid).net_connections("tcp")
        if found.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (apt-get install chromium)")
@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/studies/2"])
def test_no_name_is_executed(server, tmp_path, path):
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
    quiet = ("--disable-background-networking", "--disable-component-update")
    profile = f"--user-data-dir={tmp_path}"
    dump = ("--virtual-time-budget=10000", "--dump-dom", server.root + path)
    done = subprocess.run(
        [CHROMIUM, *options, *quiet, profile, *dump],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert "&lt;img src=x onerror=" in done.stdout
    assert '<img src="x"' not in done.stdout
    assert "<title>owned" not in done.stdout


def test_ctrl_c_ends_it(server):
    """The last: nobody is asked after it."""
    server.process.send_signal(signal.SIGINT)
    out, err = server.process.communicate(timeout=60)
    assert (server.process.returncode, out) == (130, "")
    assert err == "The dashboard has ended.\n"


def test_what_is_wrong_is_one_line(tmp_path, write_study, main_here, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = _study(tmp_path, write_study)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wrong = [
            ((tmp_path, "--port", 0), f"{tmp_path}: not a run folder (no study.toml in it)"),
            ((folder, "--port", port), f"dashboard: --host 127.0.0.1 --port {port}: Address alr"),
            ((folder, "--host", "192.0.2.1"), "dashboard: --host 192.0.2.1 --port 8080: Cannot "),
            ((folder, "--host", "no.such.host.invalid"), "dashboard: --host no.such.host.invalid"),
        ]
        for arguments, message in wrong:
            ended = main_here("dashboard", *arguments)
            assert (ended.code, ended.err.count("\n")) == (2, 1)
            assert ended.err.startswith(message)
    monkeypatch.setattr(dashboard_module, "_NEEDED", ("optuna_dashboard", "no_such_package"))
    ended = main_here("dashboard", folder, "--port", 0)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "needs no_such_package; pip install 'allocsearch[dashboard]'" in ended.err


@pytest.mark.parametrize(
    ("host", "url", "is_private"),
    [
        ("127.0.0.1", "http://127.0.0.1:", True),
        ("localhost", "http://localhost:", True),
        ("::1", "http://[::1]:", True),
        ("0.0.0.0", "http://0.0.0.0:", False),
    ],
)
def test_another_host_than_this_machine_is_warned_of(
    tmp_path, write_study, monkeypatch, host, url, is_private
):
    monkeypatch.setattr(dashboard_module, "_application", lambda study, artifacts: None)
    folder = _study(tmp_path, write_study)
    with dashboard_module.open_dashboard(folder, host, 0) as opened:
        assert opened.url.startswith(url)
        assert opened.is_private is is_private
        assert (warning(opened) is None) is is_private
