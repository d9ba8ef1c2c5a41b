from __future__ import annotations

import ray
from ray.exceptions import RayError

from allocsearch.search.executors.ray_cluster import Request
from allocsearch.search.executors.ray_workers import RayWorkers


def test_what_a_cancelled_one_fails_with_is_no_failure(tmp_path, monkeypatch):
    def fail(task: object) -> None:
        raise RayError("its handler is not callable")

    monkeypatch.setattr(ray, "wait", lambda tasks, **_: (tasks, []))
    monkeypatch.setattr(ray, "get", fail)
    monkeypatch.setattr(ray, "cancel", lambda task: None)
    workers = RayWorkers(Request(1.0, 0.0))
    workers._log = tmp_path / "workers.log"
    workers._tasks = ["a task"]
    assert workers.ended() == ["RayError"]
    assert workers._log.read_text() == "its handler is not callable\n"
    workers._tasks = ["another"]
    workers.terminate()
    assert workers.ended() == []
    assert workers._log.read_text() == "its handler is not callable\n"
