"""Trials whose encoder is pretrained: rungs, interruptions, and what cannot be."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, StudyConfig, load
from allocsearch.data.splits import load_search_data
from allocsearch.models.build import build_model
from allocsearch.search.hvae_trainer import HVAETrainer
from allocsearch.search.retrain import retrain
from allocsearch.search.run import prepare
from allocsearch.search.trainer import Hooks, Result, Task
from allocsearch.training.pretraining import pretrain

PRETRAIN = {"epochs": 4, "projection": 8, "frozen_epochs": 2}
ALLOCATION = Allocation((6, 3))


def config_of(keep: str = "none", **pretraining: object) -> StudyConfig:
    return StudyConfig.model_validate(
        {
            "search_space": {"kind": "simplex", "budget": 9, "layers": 2},
            "study": {"objectives": ["max:retention"]},
            "data": {"id": "digits", "train_size": 512, "validation_size": 60},
            "model": {"hidden": 8, "depth": 1},
            "training": {
                "epochs": 4,
                "batch_size": 256,
                "pretrain": {**PRETRAIN, **pretraining},
            },
            "evaluation": {"samples": 2, "score_samples": 2, "keep": keep},
            "early_stopping": {"mode": "forced", "schedule": "own"},
        }
    )


def run(config: StudyConfig, folder: Path, hooks: Hooks) -> Result | Exception:
    [(index, found)] = HVAETrainer(config).run([Task(ALLOCATION, 4, folder)], hooks)
    assert index == 0
    return found


def test_a_rung_of_its_own_schedule_is_a_shorter_study(tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []
    hooks = Hooks(rungs=(0.5,), rung=lambda index, rung, metrics: seen.append(metrics))
    found = run(config_of(), tmp_path / "whole", hooks)
    assert isinstance(found, Result)
    half = config_of().training.shortened(2)
    config = config_of().model_copy(update={"training": half})
    assert seen == [run(config, tmp_path / "half", Hooks()).metrics]


def test_a_trial_begins_with_the_weights_of_its_pretraining(tmp_path: Path) -> None:
    config = config_of(frozen_epochs=4)
    progress: list[dict[str, float]] = []
    hooks = Hooks(lambda index, told: progress.append(dict(told)))
    assert isinstance(run(config, tmp_path, hooks), Result)
    data = load_search_data(config.own_data)
    model = build_model(ALLOCATION, (8, 8), config.model, 4)
    how = config.training.pretrain
    assert how is not None
    pretrain(model, data.train.values, config.training, how, 4)
    kept = retrain(
        ALLOCATION, 4, data, config.model, config.training, config.evaluation
    ).model.state_dict()
    # Frozen to the end: what pretraining left is what the trial has.
    path = model.encoder_path()
    assert all(torch.equal(model.state_dict()[name], kept[name]) for name in path)
    stages = ["pretrain_epoch" if "pretrain_epoch" in told else "epoch" for told in progress]
    assert stages == ["pretrain_epoch"] * 4 + ["epoch"] * 4
    assert [told["epochs"] for told in progress] == [4] * 8


@pytest.mark.parametrize("allowed", [3, 8, 9, 14])
def test_interrupted_it_ends_as_unbroken(tmp_path: Path, allowed: int) -> None:
    """Within the pretraining, right after it, while the path is frozen, and later."""
    config = config_of("models")
    whole = run(config, tmp_path / "whole", Hooks())
    assert isinstance(whole, Result)
    task = Task(ALLOCATION, 4, tmp_path / "broken", tmp_path / "kept" / "x.safetensors")

    class StopError(Exception):
        pass

    left = iter(range(allowed))

    def check() -> None:
        if next(left, None) is None:
            raise StopError

    with pytest.raises(StopError):
        [*HVAETrainer(config, checkpoint_every=0).run([task], Hooks(check=check))]
    pretrained: list[float] = []

    def told(index: int, progress: dict[str, float]) -> None:
        if "pretrain_epoch" in progress:
            pretrained.append(progress["pretrain_epoch"])

    [(_, found)] = HVAETrainer(config).run([task], Hooks(told))
    assert found.metrics == whole.metrics
    assert pretrained == ([1, 2, 3, 4] if allowed < 8 else [])
    folders = [tmp_path / name for name in ("broken", "whole")]
    weights = [(folder / "model.safetensors").read_bytes() for folder in folders]
    assert weights[0] == weights[1]
    history = [json.loads((folder / "metrics.json").read_text())["history"] for folder in folders]
    assert history[0] == history[1]


def test_what_cannot_be_is_told_before_anything_is_written(
    tmp_path: Path, write_study, monkeypatch: pytest.MonkeyPatch
) -> None:
    wine = {"id": "wine", "ood_validation": ["corruption"], "train_size": 80}
    path = write_study(
        tmp_path / "a.toml",
        data={**wine, "validation_size": 40},
        model={"likelihood": "gaussian"},
        training={"pretrain": {"augmentations": ["corruption", "rotation"]}},
    )
    expected = r"^training\.pretrain\.augmentations\.1: wine: shift 'rotation' takes pixels"
    with pytest.raises(InputError, match=expected):
        prepare(load(path), tmp_path / "run")
    path = write_study(tmp_path / "b.toml", training={"pretrain": {"epochs": 1}})
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning.losses", None)
    with pytest.raises(InputError, match=r"^training\.pretrain: needs .*allocsearch\[pretrain\]"):
        prepare(load(path), tmp_path / "run")
    assert not (tmp_path / "run").exists()
