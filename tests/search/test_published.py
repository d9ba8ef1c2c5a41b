from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from allocsearch.config import InputError, StudyConfig, load
from allocsearch.search.published import check_data, check_published, publish, published_config


@pytest.fixture
def config(tmp_path: Path, write_study: Callable[..., Path]) -> Callable[..., StudyConfig]:
    def build(*changes: str) -> StudyConfig:
        return load(write_study(tmp_path / "tiny.toml"), changes)

    return build


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(study_name="tiny")


def test_the_config_comes_back_without_the_way_to_the_storage(
    study: optuna.Study, config: Callable[..., StudyConfig]
) -> None:
    publish(study, config("study.storage=postgresql+psycopg://somebody@db.example/trials"))
    assert published_config(study) == config()
    assert "db.example" not in str(study.user_attrs)


def test_a_study_goes_on_with_more_trials_and_from_elsewhere(
    study: optuna.Study, config: Callable[..., StudyConfig]
) -> None:
    publish(study, config())
    further = config("study.trials=99", "study.workers=3", "study.storage=grpc://proxy:13000")
    check_published(study, further)
    publish(study, further)
    assert published_config(study).study.trials == 99


def test_another_study_of_the_same_name_is_refused(
    study: optuna.Study, config: Callable[..., StudyConfig]
) -> None:
    check_published(study, config())
    publish(study, config())
    with pytest.raises(InputError, match="tiny: the study of this name in the storage has "):
        check_published(study, config("training.epochs=77"))
    with pytest.raises(InputError, match=r"training\.epochs = 3, not 77; choose another"):
        check_published(study, config("training.epochs=77"))
    assert published_config(study) == config()


def test_a_study_without_a_config_is_no_study_of_ours(study: optuna.Study) -> None:
    with pytest.raises(InputError, match="tiny: the study in the storage has no config"):
        published_config(study)


@pytest.mark.parametrize(
    "edit",
    [
        lambda found: {**found, "toml": found["toml"].replace("epochs = 3", "epochs = 4")},
        lambda found: {**found, "sha256": "0" * 64},
        lambda found: {"toml": found["toml"]},
        lambda found: {**found, "toml": None},
    ],
)
def test_a_config_that_was_edited_is_refused(
    study: optuna.Study,
    config: Callable[..., StudyConfig],
    edit: Callable[[dict[str, str]], dict[str, str]],
) -> None:
    publish(study, config())
    study.set_user_attr("config", edit(study.user_attrs["config"]))
    with pytest.raises(InputError, match="is not the one that was recorded"):
        published_config(study)


def test_a_config_of_a_later_version_says_which_key_is_unknown(
    study: optuna.Study, config: Callable[..., StudyConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    later = config().to_toml() + "\n[novelty]\nwonder = 3\n"
    monkeypatch.setattr(StudyConfig, "to_toml", lambda self: later)
    publish(study, config())
    with pytest.raises(InputError, match="tiny: the config in the storage: novelty: unknown key"):
        published_config(study)


def test_a_config_that_is_nested_too_deep_is_refused(study: optuna.Study) -> None:
    deep = "a = " + "[" * 100_000
    found = {"toml": deep, "sha256": hashlib.sha256(deep.encode()).hexdigest()}
    study.set_user_attr("config", found)
    with pytest.raises(InputError, match=r"the storage: .*recursion"):
        published_config(study)


def test_all_machines_have_the_same_data(study: optuna.Study) -> None:
    check_data(study, None)
    check_data(study, "a" * 64)
    check_data(study, "a" * 64)
    check_data(study, None)
    with pytest.raises(InputError, match="the data here has the fingerprint bbbbbbbbbbbb, the"):
        check_data(study, "b" * 64)


@pytest.mark.parametrize("there", ["/data/files", "s3://bucket/files"])
def test_the_files_of_all_trials_go_to_an_artifact_store_or_of_none(
    study: optuna.Study, config: Callable[..., StudyConfig], there: str
) -> None:
    publish(study, config(f"study.artifacts={there}"))
    assert published_config(study).study.artifacts == there
    # The same folder has another path on another machine.
    check_published(study, config("study.artifacts=/mnt/files"))
    with pytest.raises(InputError, match=f"tiny: study.artifacts is missing; .* has {there}, and"):
        check_published(study, config())


def test_a_study_gets_no_artifact_store_later(
    study: optuna.Study, config: Callable[..., StudyConfig]
) -> None:
    publish(study, config())
    with pytest.raises(InputError, match=r"tiny: found study\.artifacts = '/data/files'; the stu"):
        check_published(study, config("study.artifacts=/data/files"))
