"""A study knows its artifact store, and takes no other one for it."""

from __future__ import annotations

import shutil

import pytest
from optuna.artifacts import get_all_artifact_meta

from allocsearch.config import InputError, load
from allocsearch.search.artifacts.opening import open_store
from allocsearch.search.artifacts.registration import check_registered, register_store
from allocsearch.search.storage import NO_PATIENCE


def elsewhere(config, place):
    section = config.study.model_copy(update={"artifacts": str(place)})
    return config.model_copy(update={"study": section})


def test_the_store_of_a_study_has_its_config(begin, place, tmp_path):
    study, config = begin(place)
    folder = tmp_path / "runs" / "tiny"
    (folder / "study.toml").write_text(config.to_toml())
    for _ in range(2):
        register_store(study, config, folder)
    check_registered(study, config)
    [shown] = get_all_artifact_meta(study)
    assert (shown.artifact_id, shown.filename) == (study.user_attrs["artifacts"], "study.toml")
    store = open_store(place, NO_PATIENCE)
    with store.open_reader(study.user_attrs["artifacts"]) as reader:
        (tmp_path / "again.toml").write_bytes(reader.read())
    assert load(tmp_path / "again.toml") == config


def test_another_store_is_refused_and_a_copy_is_not(begin, tmp_path):
    study, config = begin(str(tmp_path / "store"))
    folder = tmp_path / "runs" / "tiny"
    (folder / "study.toml").write_text(config.to_toml())
    register_store(study, config, folder)
    other = tmp_path / "other"
    other.mkdir()
    for check in (check_registered, lambda *found: register_store(*found, folder)):
        with pytest.raises(InputError, match=f"{other}: not the artifact store of tiny, which"):
            check(study, elsewhere(config, other))
    assert not list(other.iterdir())
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    check_registered(study, elsewhere(config, tmp_path / "copy"))


def test_without_a_store_nothing_is_asked(begin, tmp_path):
    study, config = begin(None)
    register_store(study, config, tmp_path)
    check_registered(study, config)
    assert "artifacts" not in study.user_attrs
