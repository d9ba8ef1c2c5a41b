"""Our plots and notes in the dashboard of a study that goes on, as its server gives them."""

from __future__ import annotations

import json
from base64 import b64decode

import numpy as np
import pytest
from test_dashboard import Server

from allocsearch.config import load
from allocsearch.search.storage import open_study

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def study(tmp_path_factory, write_study, end_trial):
    home = tmp_path_factory.mktemp("plots")
    sections = {
        "study": {"name": "quickstart", "objectives": ["max:bottom", "max:top"], "trials": 9},
        "trainer": {"kind": "callable", "function": "own:train"},
    }
    folder = home / "runs" / "quickstart"
    folder.mkdir(parents=True)
    config = load(write_study(home / "tiny.toml", **sections))
    (folder / "study.toml").write_text(config.to_toml())
    found = open_study(config, folder, create=True)
    end_trial(found, 0, (9, 3))
    end_trial(found, 1, (4, 8))
    return home, folder, found


@pytest.fixture(scope="module")
def server(study):
    home, folder, _ = study
    started = Server(home, folder)
    yield started
    started.process.kill()
    started.process.communicate()


def detail(server):
    return json.loads(server.ask("/api/studies/1")[1])


def plots(server):
    return {
        found["id"]: json.loads(found["graph_object"])
        for found in detail(server)["plotly_graph_objects"]
    }


def points(figure):
    """The coordinates of all marks; plotly packs numbers."""
    marks = [trace for trace in figure["data"] if trace.get("mode") == "markers"]
    packed = [(trace["x"], trace["y"]) for trace in marks]
    return {point for x, y in packed for point in zip(numbers(x), numbers(y), strict=True)}


def numbers(packed):
    return np.frombuffer(b64decode(packed["bdata"]), packed["dtype"]).tolist()


def test_plots_and_notes_follow_the_study_and_are_written_nowhere(
    study, server, wait_for, end_trial
):
    _, _, found = study
    wait_for(lambda: plots(server))
    name = "front-top-against-bottom"
    before = plots(server)[name]
    assert before["layout"]["title"]["text"] == "Top against bottom"
    notes = [trial["note"]["body"] for trial in detail(server)["trials"]]
    assert notes[0] == ("**`9-3`**, ratio 0.33, on the front\n- bottom: 9.000\n- top: 3.000")
    # A user's own note stays, whatever comes.
    key = detail(server)["trials"][1]["trial_id"]
    own = {"version": 1, "body": HOSTILE}
    assert server.ask(f"/api/studies/1/{key}/note", "PUT", own)[0] == 204
    end_trial(found, 2, (6, 6))
    wait_for(lambda: len(detail(server)["trials"]) == 3)
    wait_for(lambda: detail(server)["trials"][2]["note"]["body"].startswith("**`6-6`**"))
    assert points(before) == {(9, 3), (4, 8)}
    assert points(plots(server)[name]) == {(9, 3), (4, 8), (6, 6)}
    assert detail(server)["trials"][1]["note"] == own
    kept = found._storage.get_study_system_attrs(found._study_id)
    written = {name for name in kept if name.startswith("dashboard:")}
    assert written == {f"dashboard:{key}:note_ver", f"dashboard:{key}:note_str:0"}
