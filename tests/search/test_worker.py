from __future__ import annotations

import json
import math
import time

import optuna
import pytest
import torch
from optuna.trial import TrialState

from allocsearch.config import load
from allocsearch.data.splits import load_search_data
from allocsearch.search import hvae_trainer, objective, slots, worker
from allocsearch.search.hvae_trainer import HVAETrainer
from allocsearch.search.records import WORKER, read_study
from allocsearch.search.slots import fill, storage_of
from allocsearch.search.storage import open_study, trial_folder
from allocsearch.search.storages.heartbeat import HEARTBEAT
from allocsearch.search.trainer import PrunedError, Result
from allocsearch.search.worker import StoppedError, work
from allocsearch.spaces import build_space


@pytest.fixture
def begin(tmp_path, write_study):
    """A filled study in a new run folder, its config, and its trainer."""

    def build(name="tiny", **sections):
        config = load(write_study(tmp_path / f"{name}.toml", **sections))
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        study = open_study(config, folder, create=True)
        fill(study, config, build_space(config.search_space))
        return study, config, folder, HVAETrainer(config)

    return build


def test_every_waiting_trial_is_run_and_written(begin):
    study, config, folder, trainer = begin()
    work(study, config, folder, trainer)
    record = read_study(study, config, folder)
    assert [trial.state for trial in record.trials] == ["complete"] * 3
    for trial in record.trials:
        written = json.loads((trial_folder(folder, trial.number) / "metrics.json").read_text())
        assert written["metrics"] == trial.metrics
        assert written["allocation"] == str(trial.allocation)
        assert trial.values == tuple(
            trial.metrics[name] for name in ("retention", "attenuation", "auroc")
        )
        assert trial.progress["epoch"] == trial.progress["epochs"] == 3
        assert trial.provenance["data"] == load_search_data(config.data).fingerprint
        assert (trial_folder(folder, trial.number) / "scores.npz").is_file()
        assert not (trial_folder(folder, trial.number) / "model.safetensors").exists()


def test_what_is_stopped_is_repeated_bit_for_bit(begin):
    """A random study that is stopped at every odd moment ends like one that is not."""
    sections = {"study": {"trials": 4, "sampler": "random", "retries": 0}}
    study, config, folder, trainer = begin("whole", **sections)
    work(study, config, folder, trainer)
    whole = results(read_study(study, config, folder))
    assert len(whole) == 4
    for every in (0, 3600):
        study, config, folder, _ = begin(f"stopped-{every}", **sections)
        trainer = HVAETrainer(config, checkpoint_every=every)
        times = stop_often(study, config, folder, trainer)
        assert times >= 5
        work(study, config, folder, trainer)
        stopped = read_study(study, config, folder)
        interrupted = [trial for trial in stopped.trials if trial.state == "interrupted"]
        assert len(interrupted) == times
        assert {trial.reason for trial in interrupted} == {"stopped"}
        assert len(stopped.complete) == stopped.finished == 4
        assert results(stopped) == whole


def stop_often(study, config, folder, trainer):
    """Stop the work on a study at odd moments; how often that broke it off."""
    times = 0
    for checks in (1, 3, 12, 40, 2, 70, 25):
        left = checks

        def check():
            nonlocal left
            left -= 1
            if left < 0:
                raise StoppedError

        work(study, config, folder, trainer, check)
        times += left < 0
    return times


def results(record):
    return {t.seed: (t.allocation, t.values, dict(t.metrics)) for t in record.complete}


def test_training_that_diverges_fails_with_the_reason(begin):
    wild = {"learning_rate": 1e30, "gradient_clip": 1e30}
    study, config, folder, trainer = begin(study={"trials": 2}, training=wild)
    work(study, config, folder, trainer)
    record = read_study(study, config, folder)
    assert [trial.state for trial in record.trials] == ["failed"] * 2
    assert all(("nan" in t.reason or "inf" in t.reason) for t in record.trials)
    assert all(trial.allocation is not None for trial in record.trials)
    assert not list(folder.rglob("metrics.json"))


def test_bad_trials_do_not_end_the_study(begin, monkeypatch):
    errors = [RuntimeError, ValueError, MemoryError, ZeroDivisionError]
    study, config, folder, trainer = begin(study={"trials": len(errors) + 2})
    real = hvae_trainer.train_and_measure
    seeds = []

    def fragile(candidates, *arguments):
        seeds.extend(candidate.seed for candidate in candidates)
        if 2 <= len(seeds) < len(errors) + 2:
            raise errors[len(seeds) - 2]("out of\nluck")
        return real(candidates, *arguments)

    monkeypatch.setattr(hvae_trainer, "train_and_measure", fragile)
    work(study, config, folder, trainer)
    first, *failed, last = read_study(study, config, folder).trials
    assert (first.state, last.state) == ("complete", "complete")
    assert [trial.state for trial in failed] == ["failed"] * len(errors)
    assert [t.reason for t in failed] == [f"{error.__name__}: out of luck" for error in errors]
    assert len(set(seeds)) == len(errors) + 2


class Formula:
    """Trains in no time; calls what it is given whenever it has trained."""

    together = 1
    fingerprint = None

    def __init__(self, trained=lambda: None):
        self.trained = trained

    def run(self, tasks, hooks):
        for index, task in enumerate(tasks):
            self.trained()
            bottom = float(task.allocation.dims[0])
            yield index, Result({"retention": bottom, "attenuation": 0.5, "auroc": 0.5})


def test_trial_that_another_process_ended_is_left_alone(begin):
    study, config, folder, _ = begin()

    def end():
        if not read_study(study, config, folder).complete:
            worker.requeue(study, config, lambda identity: True, "the worker died")

    work(study, config, folder, Formula(end))
    record = read_study(study, config, folder)
    # The first was taken for dead again and again, until it failed for good.
    assert record.finished == 3
    assert {t.state for t in record.trials} <= {"complete", "failed", "interrupted"}
    assert not any(t.metrics for t in record.trials if t.state != "complete")


def test_a_trial_that_ends_before_its_proposal_is_left_alone(begin, monkeypatch, caplog):
    """Another process takes this worker for dead between the claim and the proposal."""
    study, config, folder, _ = begin()
    ended = []

    def claim(study, *others):
        trial = slots.claim(study, *others)
        if trial is not None and not ended:
            storage_of(study).set_trial_state_values(trial._trial_id, TrialState.FAIL)
            ended.append(trial.number)
        return trial

    monkeypatch.setattr(worker, "claim", claim)
    work(study, config, folder, Formula())
    states = {trial.number: trial.state for trial in read_study(study, config, folder).trials}
    assert ended
    assert states == {0: "complete", 1: "complete", 2: "complete"} | {ended[0]: "failed"}
    assert "put back by another process" in caplog.text


def test_a_trial_that_ends_before_it_is_taken_is_passed_over(begin, monkeypatch):
    study, config, folder, _ = begin()
    write = study._storage.set_trial_user_attr
    ended = []

    def write_late(trial_id, key, value):
        if key == WORKER and not ended:
            study._storage.set_trial_state_values(trial_id, TrialState.FAIL)
            ended.append(study._storage.get_trial(trial_id).number)
        write(trial_id, key, value)

    monkeypatch.setattr(study._storage, "set_trial_user_attr", write_late)
    work(study, config, folder, Formula())
    states = [trial.state for trial in read_study(study, config, folder).trials]
    assert ended == [0]
    assert states == ["failed", "complete", "complete"]


def test_trials_are_trained_together(begin, monkeypatch):
    sizes = []
    real = hvae_trainer.train_and_measure

    def counted(candidates, *arguments):
        sizes.append(len(candidates))
        return real(candidates, *arguments)

    monkeypatch.setattr(hvae_trainer, "train_and_measure", counted)
    study, config, folder, trainer = begin(study={"trials": 3}, training={"population": 2})
    work(study, config, folder, trainer)
    assert sizes == [2, 1]
    record = read_study(study, config, folder)
    assert [trial.state for trial in record.trials] == ["complete"] * 3
    assert all(trial.progress["epoch"] == 3 for trial in record.trials)
    assert all((folder / "trials" / str(n) / "metrics.json").exists() for n in range(3))


def test_a_stop_puts_all_trials_of_a_population_back(begin):
    study, config, folder, trainer = begin(study={"trials": 3}, training={"population": 3})
    left = 4

    def check():
        nonlocal left
        left -= 1
        if left < 0:
            raise StoppedError

    work(study, config, folder, trainer, check)
    stopped = read_study(study, config, folder)
    assert [trial.state for trial in stopped.trials] == ["interrupted"] * 3 + ["waiting"] * 3
    work(study, config, folder, trainer)
    assert len(read_study(study, config, folder).complete) == 3


def test_one_that_diverges_does_not_fail_its_population(begin, monkeypatch):
    build = objective.build_model

    seeds = []

    def spoilt(allocation, shape, section, seed):
        model = build(allocation, shape, section, seed)
        seeds.append(seed)
        if len(seeds) == 2:
            with torch.no_grad():
                model.output.bias[0] = math.nan
        return model

    study, config, folder, trainer = begin(study={"trials": 3}, training={"population": 3})
    monkeypatch.setattr(objective, "build_model", spoilt)
    work(study, config, folder, trainer)
    record = read_study(study, config, folder)
    assert [trial.state for trial in record.trials] == ["complete", "failed", "complete"]
    assert record.trials[1].reason == "the loss became nan in epoch 1"


def test_a_trial_that_is_trained_gives_signs_of_life(begin):
    study, config, folder, _ = begin(study={"trials": 1, "heartbeat": 0.05})
    deadline = time.monotonic() + 60

    class Patient:
        together = 1
        fingerprint = None

        def run(self, tasks, hooks):
            signs = set()
            while len(signs) < 3 and time.monotonic() < deadline:
                [trial] = study.get_trials(deepcopy=False)
                signs.add(trial.user_attrs.get(HEARTBEAT))
            metrics = {name: len(signs) for name in ("retention", "attenuation", "auroc")}
            yield 0, Result(metrics)

    work(study, config, folder, Patient())
    assert read_study(study, config, folder).trials[0].metrics["auroc"] == 3


@pytest.mark.parametrize(
    "outcome", [Result({"retention": 1.0}), PrunedError("worse"), ValueError("no")]
)
def test_the_checkpoint_of_what_has_ended_is_removed(begin, outcome):
    study, config, folder, _ = begin(study={"trials": 1, "objectives": ["max:retention"]})
    kept = []

    class Checkpointing:
        together = 1
        fingerprint = None

        def run(self, tasks, hooks):
            [task] = tasks
            task.checkpoint.parent.mkdir(exist_ok=True)
            task.checkpoint.write_bytes(b"kept")
            kept.append(task.checkpoint)
            yield 0, outcome

    work(study, config, folder, Checkpointing())
    [path] = kept
    assert path.parent.is_dir()
    assert not path.exists()


class Staircase:
    """Trains by a formula: the larger the bottom layer, the better, at every rung."""

    together = 1

    def __init__(self, useful):
        self.useful = useful
        self.begun = 0

    def run(self, tasks, hooks):
        for index, task in enumerate(tasks):
            self.begun += 1
            bottom = float(task.allocation.dims[0])
            shuffled = (self.begun * 7919) % 1013
            for rung in hooks.rungs:
                try:
                    hooks.rung(index, rung, {"retention": bottom if self.useful else shuffled})
                except PrunedError as pruned:
                    yield index, pruned
                    break
            else:
                yield index, Result({"retention": bottom})


@pytest.fixture
def climb(tmp_path, write_study):
    """The record of a study by a staircase. It is in memory: databases are others' matter."""

    def call(useful=True, **sections):
        study = {"sampler": "random", "objectives": ["max:retention"], **sections.pop("study")}
        config = load(write_study(tmp_path / "tiny.toml", study=study, **sections))
        opened = optuna.create_study(direction="maximize")
        fill(opened, config, build_space(config.search_space))
        work(opened, config, tmp_path, Staircase(useful))
        return read_study(opened, config, tmp_path)

    return call


def staircase(climb, mode, *, useful=True, trials=40):
    return climb(
        useful,
        study={"trials": trials},
        search_space={"budget": 60},
        early_stopping={"mode": mode, "rungs": [0.25, 0.5]},
    )


def test_a_rung_that_proves_itself_stops_the_worse(climb):
    record = staircase(climb, "auto")
    pruned = [trial for trial in record.trials if trial.state == "pruned"]
    assert record.finished == 40
    assert len(pruned) > 12
    # Trust comes first.
    assert not any(rung.judged for trial in record.trials[:8] for rung in trial.rungs)
    for trial in pruned:
        assert trial.values == ()
        assert trial.rungs[-1].judged
        assert trial.reason == f"not among the best 1/3 at the rung {trial.rungs[-1].rung:g}"
    best = max(trial.allocation.dims[0] for trial in record.trials)
    assert max(trial.values[0] for trial in record.complete) == best


def test_a_useless_rung_is_measured_and_stops_nothing(climb):
    record = staircase(climb, "auto", useful=False)
    assert [trial.state for trial in record.trials] == ["complete"] * 40
    # Once it is contradicted it is not even measured.
    measured = [[rung.rung for rung in trial.rungs] for trial in record.trials]
    assert measured[:8] == [[0.25, 0.5]] * 8
    assert measured[-1] == []
    assert not any(rung.judged for trial in record.trials for rung in trial.rungs)


def test_a_forced_rung_needs_no_proof(climb):
    record = staircase(climb, "forced", useful=False)
    assert all(rung.judged for trial in record.trials for rung in trial.rungs)
    assert any(trial.state == "pruned" for trial in record.trials[:8])


def test_a_replicate_is_trained_to_the_end(climb):
    """Two allocations, nine trainings of each: a third of them would be stopped."""
    record = climb(
        useful=False,
        study={"trials": 18, "replicates": 9},
        search_space={"kind": "table", "allocations": ["8-4", "4-8"]},
        early_stopping={"mode": "forced"},
    )
    for trial in record.trials:
        assert trial.replicate == 0 or trial.state == "complete"
        assert all(rung.judged == (trial.replicate == 0) for rung in trial.rungs)


def test_without_early_stopping_no_rung_is_measured(climb):
    record = staircase(climb, "off", trials=4)
    assert [trial.rungs for trial in record.trials] == [()] * 4


@pytest.mark.parametrize("schedule", ["own", "full"])
def test_a_real_training_is_stopped_at_a_rung(begin, schedule):
    study, config, folder, trainer = begin(
        study={"trials": 4},
        early_stopping={"mode": "forced", "rungs": [0.3], "schedule": schedule},
    )
    work(study, config, folder, trainer)
    record = read_study(study, config, folder)
    assert record.finished == 4
    pruned = [trial for trial in record.trials if trial.state == "pruned"]
    assert pruned
    for trial in pruned:
        # Of three epochs one was trained, and nothing is kept.
        assert trial.progress["epoch"] == 1
        assert not trial_folder(folder, trial.number).exists()
    for trial in record.trials:
        assert [rung.rung for rung in trial.rungs] == [0.3]
