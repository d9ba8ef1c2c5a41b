"""The files of a trial that are in an artifact store, as its trial in the storage names them."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Annotated, Any

from optuna.artifacts import ArtifactMeta
from optuna.artifacts._upload import ARTIFACTS_ATTR_PREFIX, DEFAULT_MIME_TYPE
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from allocsearch.config import InputError, first_problem, shown

# Of characters.
_LONGEST = 500


def is_file_name(name: str) -> bool:
    """Whether a relative path with slashes names a file below a folder, on any system."""
    parts = name.split("/")
    good = name.isprintable() and "\\" not in name and len(name) <= _LONGEST
    return good and not any(part in ("", ".", "..") for part in parts)


def _file_name(name: str) -> str:
    if not is_file_name(name):
        raise ValueError("not the name of a file below a folder")
    return name


class StoredFile(BaseModel):
    """A file of a trial in an artifact store.

    Attributes:
        artifact_id: In the store.
        filename: Path in the folder of the trial, with slashes.
        size: Bytes.
        sha256: Of the content, hexadecimal.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    artifact_id: Annotated[str, Field(max_length=100)]
    filename: Annotated[str, AfterValidator(_file_name)]
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @property
    def attribute(self) -> tuple[str, str]:
        """Name and value of the trial's system attribute, as Optuna's own with two entries more.

        Optuna's `upload_artifact` writes one before the file is in the store, and without these.
        """
        kind, encoding = mimetypes.guess_type(PurePosixPath(self.filename).name)
        meta = ArtifactMeta(self.artifact_id, self.filename, kind or DEFAULT_MIME_TYPE, encoding)
        content = {**asdict(meta), "size": self.size, "sha256": self.sha256}
        return ARTIFACTS_ATTR_PREFIX + self.artifact_id, json.dumps(content)


def stored_files(number: int, attributes: Mapping[str, Any]) -> tuple[StoredFile, ...]:
    """The files of a trial that are in an artifact store, by name; what others attach is left out.

    Args:
        number: Of the trial.
        attributes: Its system attributes, as the storage holds them.

    Raises:
        InputError: If a link is not what was recorded, or two are of one name.
    """
    files = tuple(sorted(_links(number, attributes), key=lambda file: file.filename))
    names = [file.filename for file in files]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"trial {number} in the storage: two files {shown(name)}")
    return files


def _links(number: int, attributes: Mapping[str, Any]) -> Iterator[StoredFile]:
    for key, value in attributes.items():
        if not key.startswith(ARTIFACTS_ATTR_PREFIX):
            continue
        try:
            content = json.loads(value)
            # Optuna's dashboard leaves null where it has removed one.
            if isinstance(content, dict) and "sha256" in content:
                yield StoredFile.model_validate(content)
        except (RecursionError, TypeError, ValueError) as error:
            what = "no JSON"
            if isinstance(error, ValidationError):
                what = str(first_problem(error))
            raise InputError(
                f"file {shown(key)} of trial {number} in the storage: {what}"
            ) from None
