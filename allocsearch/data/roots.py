"""The folders in which data files are looked for."""

from __future__ import annotations

import os
from pathlib import Path

from allocsearch.config import InputError

VARIABLE = "ALLOCSEARCH_DATA"
SYSTEM_ROOT = Path("/usr/share/datasets")


def download_root() -> Path:
    """The folder that downloads go to: `allocsearch` in `XDG_CACHE_HOME`, or in `~/.cache`.

    Never a folder of `ALLOCSEARCH_DATA`: those are only read.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "allocsearch"


def data_roots() -> tuple[Path, ...]:
    """Every root in the order of search, existing or not.

    The folders of `ALLOCSEARCH_DATA` (separated by `os.pathsep`), `/usr/share/datasets`, and the
    folder of earlier downloads.
    """
    named = os.environ.get(VARIABLE, "").split(os.pathsep)
    own = [Path(text).expanduser() for text in named if text.strip()]
    return tuple(dict.fromkeys((*own, SYSTEM_ROOT, download_root())))


def find_path(text: str) -> Path:
    """The file or folder that a study names; a relative one from the current folder or a root.

    Raises:
        InputError: If there is none, with every place that was looked at.
    """
    path = Path(text).expanduser()
    places = (Path(), *data_roots()) if not path.is_absolute() else (Path(),)
    for place in places:
        if os.path.exists(place / path):
            return place / path
    if path.is_absolute():
        raise InputError(f"{path}: no such file or folder")
    looked = ", ".join(["the current folder", *map(str, places[1:])])
    raise InputError(
        f"{path}: no such file or folder in {looked}; give its full path, or set {VARIABLE} to "
        f"the folder that holds it"
    )
