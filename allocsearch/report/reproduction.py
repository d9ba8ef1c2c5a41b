"""How to repeat a study, or train what it recommends, as commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from allocsearch.report.environment import Setting
from allocsearch.search.records import StudyRecord
from allocsearch.search.storage import CONFIG_NAME

# What results depend on beside the program itself and Python; the last with a pretraining.
_PINNED = ("torch", "numpy", "optuna", "scikit-learn", "pytorch-metric-learning")
_AGAIN = "repeated"


@dataclass(frozen=True)
class Step:
    """Something to do: what for, and its commands."""

    purpose: str
    commands: tuple[str, ...]


def reproduction_steps(record: StudyRecord, found: tuple[Setting, ...]) -> tuple[Step, ...]:
    """What repeats the study and trains its recommended allocation, to be pasted into a shell.

    Args:
        record: The study.
        found: Its settings; of those that differ between trials the first is taken.
    """
    versions = {each.key: each.values[0][0] for each in found}
    # A build, as +cpu, is of another index, and pip takes any build of a version.
    pinned = [f"{n}=={versions[n].partition('+')[0]}" for n in _PINNED if n in versions]
    steps = []
    if pinned:
        install = shlex.join(["pip", "install", *pinned])
        steps.append(Step(_installing(versions), (install,)))
    steps.append(Step(_repeating(record), (shlex.join(_run(record)),)))
    if record.complete:
        name = record.config.study.name
        export = ["export", str(record.folder), "--pick", "knee", "--out", f"{name}.toml"]
        train = ["train", f"{name}.toml", "--out", f"{name}-trained"]
        commands = tuple(shlex.join(["allocsearch", *each]) for each in (export, train))
        purpose = "The recommended allocation: export it, then train it again and compare"
        steps.append(Step(purpose, commands))
    return tuple(steps)


def _installing(versions: Mapping[str, str]) -> str:
    python = f" in Python {versions['python']}" if "python" in versions else ""
    text = f"The same packages{python}"
    if "allocsearch" not in versions:
        return text
    commit = f" of commit {versions['commit']}" if "commit" in versions else ""
    return f"{text}, beside allocsearch {versions['allocsearch']}{commit}"


def _run(record: StudyRecord) -> list[str]:
    study = record.config.study
    command = ["allocsearch", "run", str(record.folder / CONFIG_NAME), "--runs", _AGAIN]
    # Where it was kept it is finished, and nothing would be trained.
    if study.storage is not None:
        command += ["--storage", f"sqlite:///{study.name}-{_AGAIN}.db"]
    if study.artifacts is not None:
        command += ["--artifacts", f"{study.name}-{_AGAIN}-files"]
    return command


def _repeating(record: StudyRecord) -> str:
    text = "The whole study, into another folder"
    if record.config.study.workers == 1:
        return text
    text += (
        ". Which allocations are proposed depends on which trial ends first; with --workers 1 "
        "it does not"
    )
    if record.config.trainer.foreign:
        return text
    return f"{text}. What a training gives depends on its allocation and seed alone"
