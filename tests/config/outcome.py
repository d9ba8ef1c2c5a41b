"""What the real loaders make of a case: what can be written and read again, or a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import torch
from mutation import Case

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, ModelSection, load
from allocsearch.metrics.reference import Reference
from allocsearch.models.build import build_model
from allocsearch.report.exports.export import Format, load_export
from allocsearch.search.detectors.detector_card import Choice, DetectorCard
from allocsearch.search.detectors.detector_files import (
    CARD,
    DetectorFiles,
    read_detector,
    write_detector,
)

_STUDY = """
[search_space]
file = "space.{ending}"
budget = 24
[data]
id = "digits"
ood_validation = "inversion"
"""


def outcome(case: Case, folder: Path) -> str:
    """The line that the case is refused with, or "" where it loads.

    Raises:
        AssertionError: If the line is none, or what was loaded does not survive being written.
    """
    path = folder / case.name
    path.write_bytes(case.content)
    try:
        if case.kind == "export":
            _check_export(path, folder)
        elif case.kind == "detector":
            read_detector(folder)
        else:
            _check_study(path, case, folder)
    except InputError as error:
        line = str(error)
        assert line
        assert line.isprintable()
        assert len(line) <= 10_000
        return line
    return ""


def _check_study(path: Path, case: Case, folder: Path) -> None:
    if case.kind == "space":
        path = folder / "study.toml"
        path.write_text(_STUDY.format(ending=case.name.rpartition(".")[2]))
    loaded = load(path, case.overrides)
    # The name is that of the run folder.
    assert (folder / loaded.study.name).resolve().parent == folder.resolve()
    path = folder / "study.toml"
    path.write_text(loaded.to_toml())
    assert load(path) == loaded


def _check_export(path: Path, folder: Path) -> None:
    loaded = load_export(path)
    for ending in get_args(Format):
        again = folder / f"again.{ending}"
        again.write_text(loaded.to_text(ending))
        assert load_export(again) == loaded


def write_whole_detector(folder: Path) -> None:
    """Make a folder that `read_detector` takes, of a model that nobody has trained."""
    allocation, model = Allocation((2, 1)), ModelSection(hidden=4, depth=1)
    statistics = Reference(*(torch.ones(3, dtype=torch.float64) for _ in range(8)))
    card = DetectorCard(
        allocation=str(allocation),
        shape=(6,),
        dtype="uint8",
        kind="pixels",
        model=model,
        data="digits",
        data_fingerprint="0" * 16,
        score="kl_1",
        choice=Choice(by="study"),
        thresholds=(),
        samples=2,
        batch_size=5,
        seed=3,
        regret_steps=0,
        validation_size=4,
        results=(),
        metrics={"elbo": -3.5},
        versions={"torch": "2.6"},
    )
    hvae = build_model(allocation, card.shape, model, seed=0)
    write_detector(DetectorFiles(card, hvae, statistics, torch.arange(4.0)), folder)


def whole_card(folder: Path) -> dict[str, object]:
    """The card of such a folder."""
    content: dict[str, object] = json.loads((folder / CARD).read_text())
    return content
