from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import StudyConfig
from allocsearch.search.hvae_trainer import HVAETrainer
from allocsearch.search.trainer import Hooks, PrunedError, Result, Task


def trainer(epochs: int = 8, keep: str = "all", **early_stopping: object) -> HVAETrainer:
    return HVAETrainer(
        StudyConfig.model_validate(
            {
                "search_space": {"kind": "simplex", "budget": 9, "layers": 2},
                "data": {
                    "id": "digits",
                    "validation_size": 60,
                    "ood_validation": [{"shift": "inversion"}],
                },
                "model": {"hidden": 8, "depth": 1},
                "training": {"epochs": epochs, "batch_size": 256},
                "evaluation": {"samples": 2, "score_samples": 2, "keep": keep},
                "early_stopping": {"mode": "forced", **early_stopping},
            }
        )
    )


def run(trained: HVAETrainer, folder: Path, hooks: Hooks) -> Result | Exception:
    [(index, found)] = trained.run([Task(Allocation((6, 3)), 4, folder)], hooks)
    assert index == 0
    return found


def test_a_rung_of_its_own_schedule_is_a_shorter_study(tmp_path: Path) -> None:
    seen: list[tuple[int, float, dict[str, float]]] = []
    hooks = Hooks(rungs=(0.25, 0.5), rung=lambda *each: seen.append(each))
    found = run(trainer(schedule="own"), tmp_path / "own", hooks)
    assert isinstance(found, Result)
    shorter = [run(trainer(epochs), tmp_path / str(epochs), Hooks()) for epochs in (2, 4)]
    assert [metrics for _, _, metrics in seen] == [each.metrics for each in shorter]
    assert [each[:2] for each in seen] == [(0, 0.25), (0, 0.5)]
    # What is promoted begins anew: nothing of the rungs is in it.
    whole = run(trainer(), tmp_path / "whole", Hooks())
    assert found.metrics == whole.metrics
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("own", "whole")]
    assert weights[0] == weights[1]


def test_a_rung_of_the_full_schedule_is_not(tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []
    hooks = Hooks(rungs=(0.5,), rung=lambda index, rung, metrics: seen.append(metrics))
    found = run(trainer(schedule="full"), tmp_path / "full", hooks)
    assert found.metrics == run(trainer(), tmp_path / "whole", Hooks()).metrics
    # KL warm-up and free nats stand elsewhere.
    shorter = run(trainer(4), tmp_path / "shorter", Hooks())
    assert seen[0]["elbo"] != shorter.metrics["elbo"]


def test_what_is_stopped_at_its_own_schedule_is_not_trained_further(tmp_path: Path) -> None:
    epochs: list[tuple[float, float]] = []

    def stop(index: int, rung: float, metrics: object) -> None:
        if rung == 0.5:
            raise PrunedError("too bad")

    hooks = Hooks(
        lambda index, progress: epochs.append((progress["epoch"], progress["epochs"])),
        rungs=(0.25, 0.5),
        rung=stop,
    )
    found = run(trainer(schedule="own"), tmp_path / "trial", hooks)
    assert isinstance(found, PrunedError)
    assert str(found) == "too bad"
    assert epochs == [(1, 2), (2, 2), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert not (tmp_path / "trial").exists()


def test_a_training_that_diverges_at_its_own_schedule_fails(tmp_path: Path) -> None:
    config = trainer()._config
    training = config.training.model_copy(update={"learning_rate": 1e30, "gradient_clip": 1e30})
    wild = HVAETrainer(config.model_copy(update={"training": training}))
    seen: list[float] = []
    hooks = Hooks(rungs=(0.25,), rung=lambda index, rung, metrics: seen.append(rung))
    found = run(wild, tmp_path, hooks)
    assert isinstance(found, RuntimeError)
    assert not isinstance(found, PrunedError)
    assert seen == []


def test_a_trial_has_a_picture_of_its_depths_before_its_metrics(
    tmp_path: Path, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(trainer(2), tmp_path / "with", Hooks())
    assert written[0] == "depths.png"
    assert written[-1] == "metrics.json"
    # Neither this training nor the next one of the process depends on it.
    monkeypatch.setattr("allocsearch.search.hvae_trainer.depth_sheet", lambda *given: None)
    assert run(trainer(2), tmp_path / "without", Hooks()) == found
    assert not (tmp_path / "without" / "depths.png").exists()
    files = ("model.safetensors", "scores.npz", "metrics.json")
    for name in files:
        kept = [(tmp_path / folder / name).read_bytes() for folder in ("with", "without")]
        assert kept[0] == kept[1]


def test_who_keeps_nothing_keeps_no_picture(tmp_path: Path) -> None:
    run(trainer(1, "none"), tmp_path, Hooks())
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


class StopError(Exception):
    """What a hook raises to end the work."""


@pytest.mark.parametrize("schedule", ["full", "own"])
@pytest.mark.parametrize("seed", range(3))
def test_interrupted_at_random_moments_it_ends_as_unbroken(
    tmp_path: Path, schedule: str, seed: int
) -> None:
    config = trainer(schedule=schedule)._config
    unbroken: dict[float, dict[str, float]] = {}
    steps: list[None] = []
    hooks = Hooks(
        rungs=(0.25, 0.5),
        rung=lambda index, rung, metrics: unbroken.update({rung: metrics}),
        check=lambda: steps.append(None),
    )
    whole = run(HVAETrainer(config), tmp_path / "whole", hooks)

    draw = random.Random(seed)
    task = Task(Allocation((6, 3)), 4, tmp_path / "broken", tmp_path / "kept" / "x.safetensors")
    rungs: dict[float, dict[str, float]] = {}
    epochs: list[tuple[float, float]] = []
    attempts = 0
    found = None
    while found is None:
        attempts += 1
        # The first is never enough.
        allowed = draw.randrange(len(steps) if attempts > 1 else len(steps) // 2)

        def check(budget: Iterator[int] = iter(range(allowed))) -> None:  # noqa: B008
            if next(budget, None) is None:
                raise StopError

        hooks = Hooks(
            lambda index, progress: epochs.append((progress["epoch"], progress["epochs"])),
            (0.25, 0.5),
            lambda index, rung, metrics: rungs.update({rung: metrics}),
            check,
        )
        with suppress(StopError):
            [(_, found)] = HVAETrainer(config, checkpoint_every=0).run([task], hooks)
    assert attempts > 1
    assert found.metrics == whole.metrics
    assert rungs == unbroken
    folders = [tmp_path / name for name in ("broken", "whole")]
    weights = [(folder / "model.safetensors").read_bytes() for folder in folders]
    assert weights[0] == weights[1]
    history = [json.loads((folder / "metrics.json").read_text())["history"] for folder in folders]
    assert history[0] == history[1]
    # What ended is not trained again, but for epochs at whose rung a measurement was cut off.
    full = [epoch for epoch, of in epochs if of == 8]
    assert full == sorted(full)
    assert {*full} == {*range(1, 9)}
    cut = {2, 4} if schedule == "full" else set()
    assert all(full.count(epoch) == 1 for epoch in {*full} - cut)
    # Nor are rungs, once the full training has been kept.
    assert all(of == 8 for _, of in epochs[epochs.index((2, 8)) :])


@pytest.mark.parametrize("kind", ["callable", "command"])
def test_foreign_trainers_have_rungs_within_their_training(kind: str) -> None:
    how = {"callable": {"function": "a:b"}, "command": {"command": ["x", "{allocation}", "{out}"]}}
    config = StudyConfig.model_validate(
        {
            "study": {"objectives": "max:score"},
            "search_space": {"kind": "simplex", "budget": 9, "layers": 2},
            "trainer": {"kind": kind, **how[kind]},
            "early_stopping": {"mode": "forced", "schedule": "own"},
        }
    )
    assert config.rung_schedule == "full"
