"""Downloads of named data sets."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from allocsearch.config import InputError
from allocsearch.data.named_sets import NamedSet, Part

_log = logging.getLogger(__name__)


def download(name: str, named: NamedSet, part: Part, root: Path) -> None:
    """Download a part of a named set into `root`, in torchvision's layout, checksums compared.

    Files appear in `root` whole or not at all, so that a run that was killed, or that runs at the
    same time, never leaves or sees half a file.

    Args:
        name: Name of the set, for errors.
        named: The set.
        part: The official train or test part.
        root: Folder of downloads; made if missing.

    Raises:
        InputError: If the download fails, or `root` cannot be written.
    """
    _log.info("downloading %s into %s", name, root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as temporary:
            named.fetch(Path(temporary), part)
            # Labels before images: who finds the images finds their labels too.
            for file in sorted(Path(temporary).glob(named.keep), reverse=True):
                target = root / file.relative_to(temporary)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, target)
    except (RuntimeError, OSError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{name}: the download into {root} failed: {reason}") from None
