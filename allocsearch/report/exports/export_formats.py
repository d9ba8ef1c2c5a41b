"""The formats of an exported allocation, by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from allocsearch.config import InputError, hvae_oodd_config
from allocsearch.report.exports.export import ExportedAllocation
from allocsearch.report.exports.hydra_file import hydra_text
from allocsearch.report.exports.python_file import python_text

ExportFormat = Literal["toml", "yaml", "json", "hvae-oodd", "hydra", "python"]

ENDINGS: Mapping[ExportFormat, tuple[str, ...]] = {
    "toml": (".toml",),
    "yaml": (".yaml", ".yml"),
    "json": (".json",),
    "hvae-oodd": (".json",),
    "hydra": (".yaml", ".yml"),
    "python": (".py",),
}

# Gives what the layers of an exported allocation have in the program of Havtorn et al.
Widths = Callable[[ExportedAllocation], Sequence[int]]


def format_of(named: ExportFormat | None, out: Path | None) -> ExportFormat:
    """The format that is asked for.

    Args:
        named: Its name, if it has been named.
        out: The file to write, whose ending names one otherwise; TOML for any other name.

    Raises:
        InputError: If the file has the ending of another format, for which readers would take it.
    """
    ending = "" if out is None else out.suffix
    known: tuple[ExportFormat, ...] = get_args(ExportFormat)
    # The first one of an ending: .json alone is not for the program of Havtorn et al.
    by_ending = next((each for each in known if ending in ENDINGS[each]), None)
    if named is not None and by_ending is not None and ending not in ENDINGS[named]:
        raise InputError(f"--out {out}: the ending says {by_ending}, and --format is {named}")
    return named or by_ending or "toml"


def export_text(exported: ExportedAllocation, chosen: ExportFormat, widths: Widths) -> str:
    """An exported allocation in the format of that name.

    Args:
        exported: The allocation.
        chosen: The format.
        widths: Called for `hvae-oodd` alone.

    Raises:
        InputError: If the format cannot hold this allocation.
    """
    if chosen == "hvae-oodd":
        content = hvae_oodd_config(widths(exported), exported.model)
        return json.dumps(content, indent=2) + "\n"
    if chosen == "hydra":
        return hydra_text(exported)
    if chosen == "python":
        return python_text(exported)
    return exported.to_text(chosen)
