"""Whether an artifact store is that of a study, wherever it is reached from.

The store has the config of the study, under an id that the study knows: a folder that is not
mounted, or a bucket of another server, does not have it.
"""

from __future__ import annotations

from pathlib import Path

import optuna
from optuna.artifacts.exceptions import ArtifactNotFound

from allocsearch.config import InputError, StudyConfig
from allocsearch.search.artifacts.opening import open_store
from allocsearch.search.artifacts.upload import put
from allocsearch.search.storage import CONFIG_NAME, NO_PATIENCE

_ID = "artifacts"


def register_store(study: optuna.Study, config: StudyConfig, folder: Path) -> None:
    """Make the artifact store of a config that of its study, if the study has none yet.

    Args:
        study: The study.
        config: Its config; nothing is done where it has no artifact store.
        folder: Its run folder.

    Raises:
        InputError: If the study has another one.
        ArtifactStoreLostError: If the store fails.
    """
    if config.study.artifacts is None:
        return
    if _ID in study.user_attrs:
        check_registered(study, config)
        return
    store = open_store(config.study.artifacts, NO_PATIENCE)
    with (folder / CONFIG_NAME).open("rb") as content:
        file = put(content, CONFIG_NAME, store)
    study._storage.set_study_system_attr(study._study_id, *file.attribute)
    study.set_user_attr(_ID, file.artifact_id)


def check_registered(study: optuna.Study, config: StudyConfig) -> None:
    """Make sure that the artifact store of a config is that of its study.

    Args:
        study: The study.
        config: Its config; nothing is done where it has no artifact store.

    Raises:
        InputError: If it is another one.
        ArtifactStoreLostError: If the store fails.
    """
    url = config.study.artifacts
    if url is None:
        return
    known = str(study.user_attrs.get(_ID))
    store = open_store(url, NO_PATIENCE)
    try:
        store.open_reader(known).close()
    except ArtifactNotFound:
        raise InputError(
            f"study.artifacts: {url}: not the artifact store of {study.study_name}, which has its "
            f"{CONFIG_NAME} as {known}; allowed: the one that it has begun with"
        ) from None
