"""Where results come from: the program and the machine, as far as they can decide about bits."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import allocsearch

# Of seconds. A commit is not worth the start of a worker.
_PATIENCE = 5.0


def environment(packages: Iterable[str]) -> dict[str, str]:
    """Versions of Python and packages, the commit of this one, the platform and the processor.

    Args:
        packages: Names of installed packages.

    Returns:
        Texts by `python`, the names of the packages, `commit` (where it is known), `platform` and
        `processor`.
    """
    versions = {name: importlib.metadata.version(name) for name in packages}
    commit = _own_commit()
    return {
        "python": platform.python_version(),
        **versions,
        **({} if commit is None else {"commit": commit}),
        "platform": platform.platform(),
        "processor": processor(),
    }


@cache
def processor() -> str:
    """The name of the CPU, or of its architecture where that has none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except (OSError, UnicodeError):
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(filter(None, names), platform.processor() or platform.machine() or "unknown")


@cache
def _own_commit() -> str | None:
    """The commit that this package was installed from, or that its checkout is at."""
    try:
        origin = importlib.metadata.distribution("allocsearch").read_text("direct_url.json")
        found = json.loads(origin or "{}").get("vcs_info", {}).get("commit_id")
    except (importlib.metadata.PackageNotFoundError, OSError, ValueError, AttributeError):
        found = None
    if isinstance(found, str):
        return found
    return checkout_commit(Path(allocsearch.__file__).parents[1])


def checkout_commit(folder: Path) -> str | None:
    """The commit that a checkout is at, with `-dirty` where tracked files were changed since.

    Args:
        folder: The top of the checkout. A folder of a larger one has none: a virtual environment
            may lie in the checkout of another project.
    """
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    command += ["--exclude", "*"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_PATIENCE
        )
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return None
    return done.stdout.strip() or None
