"""The password of a storage, which is kept in no file of ours."""

from __future__ import annotations

import os
from pathlib import Path

from allocsearch.config import PASSWORD_FILE_VARIABLE, PASSWORD_VARIABLE, InputError


def storage_password() -> str | None:
    """The password from the environment, or from the file that the environment names.

    Raises:
        InputError: If there is no such file, or it cannot be read.
    """
    if password := os.environ.get(PASSWORD_VARIABLE):
        return password
    name = os.environ.get(PASSWORD_FILE_VARIABLE)
    if not name:
        return None
    try:
        return Path(name).read_text("utf-8").rstrip("\r\n") or None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text in UTF-8"
        raise InputError(f"{PASSWORD_FILE_VARIABLE}: {name}: {reason}") from None
