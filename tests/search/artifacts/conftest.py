"""Artifact stores of each kind, and a study whose trainings only write files."""

from __future__ import annotations

from collections.abc import Callable

import optuna
import pytest

from allocsearch.config import StudyConfig, load
from allocsearch.search.slots import fill
from allocsearch.search.storage import open_study
from allocsearch.spaces import build_space


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path) -> str:
    """Where an empty artifact store is, of each kind."""
    if request.param == "folder":
        return str(tmp_path / "store")
    return f"{request.getfixturevalue('s3').place}/of/mine"


@pytest.fixture
def begin(tmp_path, write_study) -> Callable[..., tuple[optuna.Study, StudyConfig]]:
    """A study with waiting trials, and its config; its run folder is `tmp_path`/runs/tiny.

    It is in memory, unless it is to be kept.
    """

    def build(
        artifacts: str | None, *, kept: bool = False, **study: object
    ) -> tuple[optuna.Study, StudyConfig]:
        given = {"objectives": ["min:loss"], "sampler": "random", **study}
        if artifacts is not None:
            given["artifacts"] = artifacts
        trainer = {"kind": "callable", "function": "own:train"}
        config = load(write_study(tmp_path / "tiny.toml", study=given, trainer=trainer))
        folder = tmp_path / "runs" / "tiny"
        folder.mkdir(parents=True)
        memory = optuna.create_study(study_name="tiny", directions=["minimize"])
        opened = open_study(config, folder, create=True) if kept else memory
        fill(opened, config, build_space(config.search_space))
        return opened, config

    return build
