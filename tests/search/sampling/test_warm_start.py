from __future__ import annotations

from pathlib import Path

import optuna
import pytest
import torch

from allocsearch.allocation import Allocation
from allocsearch.config import StudyConfig
from allocsearch.data.dataset import Dataset
from allocsearch.search.prediction import read_prediction
from allocsearch.search.predictor import predict_study
from allocsearch.search.records import WARM_START, read_trial
from allocsearch.search.run import prepare
from allocsearch.search.sampling.warm_start import warm_starts
from allocsearch.search.slots import fill, requeue
from allocsearch.spaces import build_space


def study_config(sampler: str = "random", trials: int = 6, **space: object) -> StudyConfig:
    return StudyConfig.model_validate(
        {
            "study": {
                "trials": trials,
                "sampler": sampler,
                "objectives": "max:elbo",
                "warm_start": "theory",
            },
            "search_space": {"budget": 12, "min_dim": 2, **space},
            "data": {"id": "digits"},
        }
    )


def first_trials(config: StudyConfig):
    generator = torch.Generator().manual_seed(0)
    train = torch.randint(0, 256, (200, 4, 4), generator=generator).to(torch.uint8)
    space = build_space(config.search_space)
    prediction = predict_study(config, Dataset("train", train))
    return prediction, space, warm_starts(prediction, space)


def proposals(study: optuna.Study, config: StudyConfig) -> list[tuple[Allocation, str | None]]:
    space = build_space(config.search_space)
    return [
        (space.suggest(optuna.trial.FixedTrial(t.system_attrs["fixed_params"])), mark)
        for t in study.get_trials()
        if (mark := t.user_attrs.get(WARM_START)) or t.system_attrs.get("fixed_params")
    ]


@pytest.mark.parametrize(
    "space",
    [{}, {"kind": "ratio"}, {"kind": "table", "allocations": ["8-2-2", "4-4-4", "2-8-2"]}],
)
def test_the_first_trials_are_knee_and_ends(space):
    config = study_config(**space)
    prediction, _, first = first_trials(config)
    (count,) = prediction.layer_counts
    expected = {count.knee.parsed: "knee"}
    for end in (count.front[0], count.front[-1]):
        expected.setdefault(end.parsed, "end")
    assert {start.allocation: start.mark for start in first} == expected
    study = optuna.create_study()
    fill(study, config, build_space(config.search_space), first)
    fill(study, config, build_space(config.search_space), first)
    assert len(study.get_trials()) == config.study.trials
    assert proposals(study, config) == [(s.allocation, s.mark) for s in first]
    assert [read_trial(t).warm_start for t in study.get_trials()[: len(first)]] == [
        start.mark for start in first
    ]


def test_each_number_of_layers_has_its_own(caplog):
    config = study_config(layers=[2, 3])
    prediction, _, first = first_trials(config)
    knees = [count.knee.parsed for count in prediction.layer_counts]
    assert [start.allocation for start in first[:2]] == knees
    assert len({start.allocation for start in first}) == len(first)


def test_what_the_space_cannot_propose_is_left_out():
    config = study_config()
    prediction, _, first = first_trials(config)
    keep = str(first[0].allocation)
    table = build_space(
        study_config(kind="table", allocations=[keep, "2-2-8"]).search_space,
    )
    assert [str(s.allocation) for s in warm_starts(prediction, table)] == [keep]


def test_fewer_trials_than_warm_starts():
    config = study_config(trials=2)
    *_, first = first_trials(config)
    study = optuna.create_study()
    fill(study, config, build_space(config.search_space), first)
    assert [a for a, _ in proposals(study, config)] == [s.allocation for s in first[:2]]


def test_a_grid_trains_each_allocation_once():
    config = study_config(sampler="grid")
    _, space, first = first_trials(config)
    config = study_config(sampler="grid", trials=space.size + 3)
    study = optuna.create_study()
    fill(study, config, space, first)
    found = [allocation for allocation, _ in proposals(study, config)]
    assert set(found[: space.size]) == {space[i] for i in range(space.size)}
    assert len(set(found[: space.size])) == space.size
    assert len(set(found[space.size :])) == 3


def test_a_repeated_trial_keeps_its_mark():
    config = study_config()
    *_, first = first_trials(config)
    study = optuna.create_study()
    fill(study, config, build_space(config.search_space), first)
    trial = study.ask()
    assert trial.user_attrs[WARM_START] == "knee"
    requeue(study, config, lambda worker: True, "the worker died")
    *_, repeated = study.get_trials()
    assert repeated.user_attrs[WARM_START] == "knee"


def test_a_run_folder_holds_its_prediction(tmp_path: Path):
    config = study_config()
    folder = tmp_path / "run"
    prepare(config, folder)
    prediction = read_prediction(folder)
    assert prediction is not None
    assert prediction.features == 64
    written = (folder / "theory.json").stat().st_mtime_ns
    prepare(config, folder)
    assert (folder / "theory.json").stat().st_mtime_ns == written


def test_data_without_a_prediction_does_not_stop_a_study(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("allocsearch.search.predictor._MOST_FEATURES", 10)
    prepare(study_config(), tmp_path / "run")
    assert "no prediction: data.id: found 64 features" in caplog.text
    assert (tmp_path / "run" / "study.toml").exists()
    assert read_prediction(tmp_path / "run") is None
