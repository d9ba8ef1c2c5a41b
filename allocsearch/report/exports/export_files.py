"""The files that an export writes: their names, and all of them or none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from allocsearch.config import InputError
from allocsearch.report.exports.export import export_trial
from allocsearch.report.exports.export_formats import ENDINGS, ExportFormat, Widths, export_text
from allocsearch.report.exports.hydra_file import GROUP
from allocsearch.report.exports.pick import Picked
from allocsearch.search.records import StudyRecord
from allocsearch.search.storage import replacing


def export_files(
    record: StudyRecord,
    picked: Sequence[Picked],
    chosen: ExportFormat,
    out: Path | None,
    widths: Widths,
) -> dict[Path, str]:
    """The files of an export, and what each will hold; nothing is written.

    Args:
        record: The study.
        picked: What was picked.
        chosen: The format.
        out: A file for one pick; a folder for one or more, which it is for several picks, where it
            exists, and where it has no ending. None for the run folder.
        widths: As for `export_text`.

    Returns:
        Text by path. In a folder a file is named by its allocation, with its pick before it where
        there are several; those for Hydra are in the folder of their config group, and those for
        hvae-oodd end in `.hvae-oodd.json`.

    Raises:
        InputError: If there are several picks for one file, `out` has an ending that is not of the
            format and is no folder yet, or the format cannot hold one of them.
    """
    ending = ENDINGS[chosen][0]
    if out is not None and not out.is_dir():
        _check_new(out, chosen)
    file = out is not None and out.suffix in ENDINGS[chosen] and not out.is_dir()
    if out is not None and file and len(picked) == 1:
        paths = [out]
    elif file:
        raise InputError(
            f"--out {out}: found a file for {len(picked)} picks; allowed: a folder, which gets a "
            "file for each"
        )
    else:
        folder = record.folder if out is None else out
        if chosen == "hydra":
            folder = (folder / "conf" if out is None else folder) / GROUP
        # Beside an export in JSON it has a name of its own, as nothing trains it again.
        mark = f".{chosen}" if chosen == "hvae-oodd" else ""
        paths = [folder / f"{_name(each, len(picked))}{mark}{ending}" for each in picked]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise InputError(f"--pick: two picks would both be written to {twice}; leave one out")
    exported = [export_trial(record, each.trial, each.text, each.where) for each in picked]
    texts = [export_text(each, chosen, widths) for each in exported]
    return dict(zip(paths, texts, strict=True))


def _check_new(out: Path, chosen: ExportFormat) -> None:
    """Refuse what reads like a file of another sort, and a file where a folder would be made."""
    endings = ENDINGS[chosen]
    if out.suffix in endings:
        return
    allowed = f"for {chosen} a file that ends in {' or '.join(endings)}, or a folder"
    if out.exists():
        raise InputError(f"--out {out}: found a file; allowed: {allowed}")
    if out.suffix:
        raise InputError(
            f"--out {out}: found the ending {out.suffix}; allowed: {allowed} without an ending, "
            "or one that exists"
        )


def _name(picked: Picked, count: int) -> str:
    allocation = str(picked.trial.allocation)
    if count == 1:
        return allocation
    # No name of a metric is a path, or an operator of Hydra's command line.
    return f"{re.sub(r'[^A-Za-z0-9_.]+', '-', picked.text)}_{allocation}"


def write_files(files: Mapping[Path, str]) -> None:
    """Write all files, or none where one of them cannot be written."""
    with ExitStack() as stack:
        for path, text in files.items():
            stack.enter_context(replacing(path)).write(text.encode())
