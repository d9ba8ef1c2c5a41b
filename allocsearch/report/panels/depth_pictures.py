"""Pictures of what each layer of chosen trials holds, as the page embeds them."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from allocsearch.report.labels import format_metric
from allocsearch.report.panels.missing_files import missing_text, numbers_text
from allocsearch.report.panels.panel import Grid
from allocsearch.search.artifacts.at_hand import FilesAtHand
from allocsearch.search.depths import COLUMNS, DEPTHS_NAME, MARGIN, MOST_SIDE, depth_rows
from allocsearch.search.records import StudyRecord, TrialRecord
from allocsearch.search.storage import trial_folder

# More bytes than any picture of ours has.
_MOST = 1 << 21
# Pixels.
_MOST_CELL = MOST_SIDE + 2 * MARGIN
_WHAT = "Reconstructions by depth"


@dataclass(frozen=True)
class DepthPicture:
    """A picture of the page.

    Attributes:
        title: Its heading.
        source: The picture as a data URI.
        size: Width and height, pixels.
        rows: What stands beside each of its rows.
        description: What it shows, for those who cannot see it.
        data: Numbers on what it shows.
    """

    title: str
    source: str
    size: tuple[int, int]
    rows: tuple[str, ...]
    description: str
    data: Grid


def depth_pictures(
    record: StudyRecord, trials: Sequence[TrialRecord], files: FilesAtHand
) -> tuple[tuple[DepthPicture, ...], tuple[str, ...]]:
    """The pictures of trials, and a sentence for each part that was not found.

    Args:
        record: The study.
        trials: The chosen ones.
        files: Theirs.
    """
    if not trials:
        return (), ()
    if record.config.trainer.foreign:
        return (), (f"{_WHAT}: a trainer of your own keeps none.",)
    pictures: list[DepthPicture] = []
    problems: list[str] = []
    missing: list[TrialRecord] = []
    for trial in trials:
        path = files.paths.get((trial.number, DEPTHS_NAME))
        if path is None or trial.allocation is None:
            missing.append(trial)
            continue
        rows = depth_rows(trial.allocation.layers)
        content = _content(path)
        size = None if content is None else _sheet_size(content, len(rows) + 1)
        if content is None or size is None:
            problems.append(f"{_WHAT}: {path}: not a picture of {len(rows) + 1} rows.")
            continue
        pictures.append(_picture(trial, rows, content, size))
    if missing:
        problems.append(_missing(record, missing, files))
    return tuple(pictures), tuple(problems)


def _missing(record: StudyRecord, trials: Sequence[TrialRecord], files: FilesAtHand) -> str:
    trained_here = all(trial_folder(record.folder, trial.number).is_dir() for trial in trials)
    if files.problem is None and record.config.evaluation.keep != "none" and trained_here:
        return (
            f"{_WHAT} of {numbers_text(trials)}: no {DEPTHS_NAME}, which is made of grey and RGB "
            "images alone, and not by earlier versions."
        )
    return missing_text(_WHAT, record, trials, files, ("scores", "models", "all"))


def _content(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST + 1)
    except OSError:
        return None
    return content if len(content) <= _MOST else None


def _sheet_size(content: bytes, rows: int) -> tuple[int, int] | None:
    """Width and height of a picture of so many rows; None for anything else."""
    try:
        with warnings.catch_warnings():
            # Said below of all that is too large.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=["PNG"])
        fits = image.height % rows == 0
        # A browser takes the memory that a picture says it needs.
        small = image.height <= rows * _MOST_CELL and image.width <= COLUMNS * _MOST_CELL
        image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return image.size if fits and small else None


def _picture(
    trial: TrialRecord, rows: tuple[int, ...], content: bytes, size: tuple[int, int]
) -> DepthPicture:
    numbers = tuple(
        (
            f"k = {k}",
            format_metric("distortion", trial.metrics.get(_skipping("distortion", k))),
            format_metric("explained", trial.metrics.get(f"explained_skip_{k}")),
        )
        for k in rows[:-1]
    )
    return DepthPicture(
        title=f"{trial.allocation} (trial {trial.number})",
        source=f"data:image/png;base64,{base64.b64encode(content).decode()}",
        size=size,
        rows=("data", *(f"k = {k}" for k in rows)),
        description=(
            f"Up to {COLUMNS} validation examples and, below each, what the model of "
            f"{trial.allocation} makes of it with the k lowest layers drawn from the prior, for "
            f"k = {', '.join(map(str, rows))}. A table with numbers follows."
        ),
        data=Grid(("layers above k", "distortion (nats)", "explained share"), numbers),
    )


def _skipping(metric: str, k: int) -> str:
    return f"{metric}_skip_{k}" if k else metric
