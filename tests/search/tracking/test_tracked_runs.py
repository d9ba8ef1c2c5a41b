"""Real runs that are tracked, with what goes wrong there."""

from __future__ import annotations

import os

from event_reading import hyperparameters, scalars

from allocsearch.search.records import read_run
from allocsearch.search.tracking.event_folder import event_folder

# The first attempt at the first training is killed at its half.
TRAINER = """
import os, pathlib, signal

def train(allocation, config, seed, report):
    for epoch in range(1, 5):
        report(epoch / 4, epoch=epoch, elbo=float(seed % 100 + epoch))
        if epoch == 2:
            try:
                pathlib.Path("killed").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
            except FileExistsError:
                pass
    return {"bottom": allocation.dims[0], "top": allocation.dims[-1]}
"""
AWAY = "http://127.0.0.1:9"
SECRET = "s3cr3t-of-mlflow"


def test_nothing_is_lost_or_there_twice(
    tmp_path, write_study, main_here, monkeypatch, caplog, uri, client
):
    """A worker is killed, and the server is away until the study has ended."""
    (tmp_path / "own.py").write_text(TRAINER)
    sections = {
        "study": {"name": "tracked", "objectives": ["max:bottom", "max:top"], "trials": 4},
        "trainer": {"kind": "callable", "function": "own:train"},
        "tracking": {"tensorboard": True, "mlflow": AWAY},
    }
    study = write_study(tmp_path / "tracked.toml", **sections)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    # The wait is MLflow's own.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    first = main_here("run", study.name, "--workers", "2")
    assert (first.code, first.err) == (0, "")
    [said] = [record.getMessage() for record in caplog.records]
    assert said.startswith("tracking.mlflow: ")
    folder = tmp_path / "runs" / "tracked"
    record = read_run(folder)
    assert "interrupted" in {trial.state for trial in record.trials}
    assert len(record.complete) == 4
    for trial in record.complete:
        place = event_folder(folder, trial.allocation, trial.replicate)
        found = scalars(place)
        curve = [(step, float(trial.seed % 100 + step)) for step in range(1, 5)]
        assert found["training/elbo"] == curve
        assert found["metrics/bottom"] == [(0, trial.metrics["bottom"])]
        assert hyperparameters(place)["allocation"] == str(trial.allocation)
    assert len(list((folder / "tensorboard").glob("*/*"))) == 4

    caplog.clear()
    second = main_here("run", study.name, "--set", f"tracking.mlflow={uri}")
    assert second.code == 0
    assert [record for record in caplog.records if record.levelname != "INFO"] == []
    experiment = client.get_experiment_by_name("tracked")
    runs = client.search_runs([experiment.experiment_id])
    logged = {run.data.params["allocation"]: run.data.metrics["bottom"] for run in runs}
    assert logged == {str(t.allocation): t.metrics["bottom"] for t in record.complete}
    assert len(runs) == 4
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    texts = [
        first.out,
        said,
        second.out,
        second.err,
        *(c.decode(errors="replace") for c in contents),
    ]
    assert not [text for text in texts if SECRET in text or "Traceback" in text]
