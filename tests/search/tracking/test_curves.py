from __future__ import annotations

import resource
import threading
from contextlib import contextmanager

import pytest
from event_reading import scalars

from allocsearch.search.tracking import event_writer
from allocsearch.search.tracking.curves import TrainingCurves


def epoch(number, epochs, elbo):
    return {"epoch": number, "epochs": epochs, "elbo": elbo}


@contextmanager
def limited(size):
    """Let no file of this process grow beyond some bytes, as on a disk that is full.

    It ends before pytest goes on: its output may be a file, too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_epochs_are_steps(tmp_path):
    curves = TrainingCurves(3)
    for number in range(1, 4):
        curves.add(tmp_path / "one", epoch(number, 3, -10.0 / number))
        curves.add(tmp_path / "two", epoch(number, 3, -number))
    curves.close()
    assert scalars(tmp_path / "one") == {
        "training/elbo": [(1, -10.0), (2, -5.0), (3, pytest.approx(-10 / 3))]
    }
    assert scalars(tmp_path / "two")["training/elbo"][-1] == (3, -3.0)


def test_an_attempt_takes_the_place_of_the_one_before_it(tmp_path):
    """The first is killed after epoch 3, and its checkpoint is of epoch 1."""
    killed = TrainingCurves(4)
    for number in range(1, 4):
        killed.add(tmp_path, epoch(number, 4, float(number)))
    killed.close()
    again = TrainingCurves(4)
    for number in range(2, 5):
        again.add(tmp_path, epoch(number, 4, 10.0 * number))
    again.close()
    assert scalars(tmp_path)["training/elbo"] == [(1, 1.0), (2, 20.0), (3, 30.0), (4, 40.0)]


def test_the_training_of_a_rung_has_a_curve_of_its_own(tmp_path):
    curves = TrainingCurves(4)
    curves.add(tmp_path, epoch(1, 1, 7.0))
    curves.add(tmp_path, epoch(1, 4, 8.0))
    curves.close()
    assert scalars(tmp_path)["training/elbo"] == [(1, 8.0)]
    assert scalars(tmp_path / "rung of 1 epochs")["training/elbo"] == [(1, 7.0)]


def test_a_pretraining_has_a_curve_of_its_own(tmp_path):
    curves = TrainingCurves(4)
    for number in (1, 2):
        place = {"pretrain_epoch": number, "pretrain_epochs": 2, "epochs": 4}
        curves.add(tmp_path, {**place, "contrastive_loss": 3.0 / number})
    curves.add(tmp_path, epoch(1, 4, 8.0))
    curves.close()
    assert scalars(tmp_path) == {"training/elbo": [(1, 8.0)]}
    expected = {"training/contrastive_loss": [(1, 3.0), (2, 1.5)]}
    assert scalars(tmp_path / "pretraining") == expected


def test_reports_of_other_trainers_are_counted(tmp_path):
    curves = TrainingCurves(None)
    for share in (0.25, 0.5):
        curves.add(tmp_path, {"progress": share, "loss": share * 4})
    curves.add(tmp_path / "silent", {"progress": 1.0})
    curves.close()
    assert scalars(tmp_path) == {"training/loss": [(1, 1.0), (2, 2.0)]}
    assert not (tmp_path / "silent").exists()


def test_a_folder_that_cannot_be_made_is_told_of_once(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    curves = TrainingCurves(2)
    for place in ("file", "file/below"):
        curves.add(tmp_path / place, epoch(1, 2, 1.0))
        curves.add(tmp_path / place, epoch(2, 2, 1.0))
    curves.close()
    [record] = caplog.records
    assert record.getMessage().startswith("tracking.tensorboard: ")
    assert record.getMessage().endswith("; trainings go on without curves")


def test_a_disk_that_is_full_is_told_of_once(tmp_path, caplog, monkeypatch, wait_for):
    printed = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    event_writer._hush.cache_clear()
    curves = TrainingCurves(10_000)
    curves.add(tmp_path, epoch(1, 10_000, 1.0))
    with limited(400):
        numbers = iter(range(2, 10_000))

        def told():
            curves.add(tmp_path, epoch(next(numbers), 10_000, 1.0))
            return caplog.records

        wait_for(told)
        curves.close()
        curves.add(tmp_path / "next", epoch(1, 10_000, 1.0))
        curves.close()
    [record] = caplog.records
    assert "File too large" in record.getMessage()
    # What the thread of the writer has met is told by the warning alone.
    assert printed == []


def test_an_attempt_within_the_second_of_another_is_read_after_it(tmp_path):
    def attempt(epochs: int) -> None:
        curves = TrainingCurves(4)
        for epoch in range(1, epochs + 1):
            curves.add(tmp_path, {"epoch": epoch, "epochs": 4, "elbo": float(epoch)})
        curves.close()

    attempt(2)
    [killed] = tmp_path.iterdir()
    second, host, *_ = killed.name.split("tfevents.")[1].split(".")
    # By the name of its process it comes after any other of that second.
    killed.rename(tmp_path / f"events.out.tfevents.{second}.{host}.9999999.0")
    attempt(4)
    assert scalars(tmp_path)["training/elbo"] == [(n, float(n)) for n in range(1, 5)]
