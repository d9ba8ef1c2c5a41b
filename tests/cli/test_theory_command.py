from __future__ import annotations

import plotly.graph_objects as go
import pytest

from allocsearch.report.tables import trials_frame
from allocsearch.search.prediction import read_prediction
from allocsearch.search.records import read_run


@pytest.fixture
def no_browser(monkeypatch):
    def fail(*args: object, **kwargs: object) -> bytes:
        raise RuntimeError("no browser is installed")

    monkeypatch.setattr(go.Figure, "to_image", fail)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_of_the_help_works(main_here, here, write_study, no_browser):
    write_study(here / "studies" / "quickstart.toml", study={"name": "quickstart"})
    text = " ".join(main_here("theory", "--help").out.split())
    assert "Example: allocsearch theory studies/quickstart.toml" in text
    ended = main_here("theory", "studies/quickstart.toml")
    assert ended.code == 0
    assert "2 layers: r* = " in ended.out
    folder = here / "runs" / "quickstart-theory"
    assert sorted(p.name for p in folder.iterdir()) == ["theory.html", "theory.json"]
    assert "no theory.png: no browser is installed" in ended.err
    prediction = read_prediction(folder)
    assert prediction is not None
    assert prediction.layer_counts[0].optimum.allocation in ended.out


def test_it_needs_the_id_data_alone(main_here, here, write_study, no_browser):
    study = write_study(
        here / "a.toml",
        data={"ood_validation": [{"source": "idx", "name": "missing", "path": "nowhere"}]},
    )
    assert main_here("theory", study, "--out", "out").code == 0
    assert (here / "out" / "theory.html").exists()


@pytest.mark.parametrize(
    ("sections", "found"),
    [
        ({"data": {"id": {"source": "numpy", "path": "nowhere.npy"}}}, "data.id: nowhere.npy"),
        ({"search_space": {"budget": 1}}, "search_space.budget"),
    ],
)
def test_bad_input_is_one_line(main_here, here, write_study, sections, found):
    ended = main_here("theory", write_study(here / "a.toml", **sections))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert found in ended.err


def test_a_file_in_the_place_of_the_folder(main_here, here, write_study):
    (here / "out").write_text("")
    ended = main_here("theory", write_study(here / "a.toml"), "--out", "out")
    assert ended.code == 2
    assert "out: not a folder" in ended.err


def test_a_run_begins_where_the_prediction_says(main_here, here, write_study):
    write_study(here / "a.toml", study={"warm_start": "theory", "trials": 3, "name": "warm"})
    ended = main_here("run", "a.toml", "--workers", "1")
    assert ended.code == 0, ended.err
    record = read_run(here / "runs" / "warm")
    prediction = read_prediction(record.folder)
    assert prediction is not None
    count = prediction.layer_counts[0]
    marked = {str(t.allocation): t.warm_start for t in record.trials if t.warm_start}
    assert marked.pop(count.knee.allocation) == "knee"
    assert set(marked.values()) <= {"end"}
    assert set(marked) <= {count.front[0].allocation, count.front[-1].allocation}
    assert record.trials[0].warm_start == "knee"
    assert "knee" in trials_frame(record)["warm_start"].tolist()
    page = (record.folder / "report.html").read_text()
    assert "predicted knee" in page
    assert "predicted from the data alone" in page
    status = main_here("status", "runs/warm")
    assert "predicted " in status.out
