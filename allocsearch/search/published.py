"""What a storage knows of a study besides its trials: its config, and the data it is trained on.

Workers on other machines have no study file. What they train by is here, in one place for all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import optuna

from allocsearch.config import InputError, StudyConfig, loads
from allocsearch.search.same_study import CHANGEABLE, LOCATION, check_same

_CONFIG = "config"
_DATA = "data"


def check_published(study: optuna.Study, config: StudyConfig) -> None:
    """Make sure that a config is that of the study, if it has one.

    Raises:
        InputError: If the study in the storage is another one of the same name.
    """
    if _CONFIG in study.user_attrs:
        known = published_config(study)
        check_same(
            config,
            known,
            has=f"{study.study_name}: the study of this name in the storage has",
            choose="choose another study.name",
            but_for=CHANGEABLE | LOCATION,
        )
        check_artifacts(study, config.study.artifacts, known)


def check_artifacts(study: optuna.Study, artifacts: str | None, known: StudyConfig) -> None:
    """Make sure that the files of all trials of a study go to an artifact store, or those of none.

    Args:
        study: The study.
        artifacts: Where they are to go from here; None for nowhere.
        known: Its config in the storage.

    Raises:
        InputError: If others keep them another way.
    """
    there = known.study.artifacts
    if there is not None and artifacts is None:
        raise InputError(
            f"{study.study_name}: study.artifacts is missing; the study in the storage has "
            f"{there}, and every trial needs it"
        )
    if there is None and artifacts is not None:
        raise InputError(
            f"{study.study_name}: found study.artifacts = {artifacts!r}; the study in the storage "
            "has none, and files of trials that it has are elsewhere"
        )


def publish(study: optuna.Study, config: StudyConfig) -> None:
    """Record the config of a study with it, for the workers that join it."""
    section = config.study.model_copy(update={"storage": None})
    text = config.model_copy(update={"study": section}).to_toml()
    study.set_user_attr(_CONFIG, {"toml": text, "sha256": _digest(text)})


def published_config(study: optuna.Study) -> StudyConfig:
    """The config of a study in a storage; it does not say where the storage is.

    Raises:
        InputError: If there is none, or it is not what was recorded.
    """
    name, found = study.study_name, study.user_attrs.get(_CONFIG)
    if not isinstance(found, Mapping):
        raise InputError(f"{name}: the study in the storage has no config; `run` records it")
    text = found.get("toml")
    if not isinstance(text, str) or found.get("sha256") != _digest(text):
        raise InputError(f"{name}: the config in the storage is not the one that was recorded")
    return loads(text, f"{name}: the config in the storage")


def check_data(study: optuna.Study, fingerprint: str | None) -> None:
    """Record what a study is trained on, or make sure that it is what this process has.

    Call it under the lock of the study: the first one decides.

    Args:
        study: The study.
        fingerprint: Of the data of this process; None for a trainer that does not know.

    Raises:
        InputError: If it is something else.
    """
    if fingerprint is None:
        return
    known = study.user_attrs.get(_DATA)
    if known is None:
        study.set_user_attr(_DATA, fingerprint)
    elif known != fingerprint:
        raise InputError(
            f"{study.study_name}: the data here has the fingerprint {fingerprint[:12]}, the data "
            f"of the study {str(known)[:12]}; allowed: the same files and sizes on every machine"
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
