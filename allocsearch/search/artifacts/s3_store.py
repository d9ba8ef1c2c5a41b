"""An artifact store in a bucket that speaks S3."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

from optuna.artifacts import Boto3ArtifactStore

from allocsearch.config import InputError
from allocsearch.search.storages.errors import in_one_line

try:
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        HTTPClientError,
        IncompleteReadError,
    )
    from botocore.exceptions import (
        ConnectionError as NoConnectionError,
    )
except ImportError as error:
    _MISSING: str | None = error.name
else:
    _MISSING = None

# Seconds.
_CONNECT, _READ = 10, 60
# Bytes of a file that are held in memory before the disk is used.
_IN_MEMORY = 1 << 25
_PROBE = "allocsearch-probe"
_BUSY = ("SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "RequestLimitExceeded")
_USER_OF_URL = re.compile(r"//[^/@\s]*@")


class S3Store:
    """Optuna's store in a bucket, below a prefix.

    Credentials, region and endpoint are found by boto3's own ways. What fails is an OSError: a
    ConnectionError where the same call may do better later.

    Args:
        bucket: The bucket.
        prefix: Of all keys, without a slash at its end; may be empty.

    Raises:
        InputError: If boto3 is not installed.
        OSError: If what boto3 needs to know is missing or wrong.
    """

    def __init__(self, bucket: str, prefix: str) -> None:
        if _MISSING is not None:
            raise InputError(
                f"study.artifacts: s3:// needs {_MISSING}; pip install 'allocsearch[distributed]'"
            )
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._session: Any = None
        with self._translated():
            # Whoever calls tries again, for as long as it has patience.
            settings = Config(
                connect_timeout=_CONNECT, read_timeout=_READ, retries={"total_max_attempts": 1}
            )
            self._session = boto3.Session()
            self._client: Any = self._session.client("s3", config=settings)
        self._store = Boto3ArtifactStore(bucket, self._client)

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """A file of the store, read to its end.

        Raises:
            ArtifactNotFound: If there is none of this id.
        """
        file = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115
        with self._translated(), self._store.open_reader(self._prefix + artifact_id) as body:
            shutil.copyfileobj(body, file)
        file.seek(0)
        return file

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Write a file, which is there whole or not at all."""
        with self._translated():
            self._store.write(self._prefix + artifact_id, content_body)

    def remove(self, artifact_id: str) -> None:
        """Remove a file."""
        with self._translated():
            self._store.remove(self._prefix + artifact_id)

    def check(self) -> None:
        """Write a file of no content, and remove it.

        Raises:
            OSError: If it cannot be written.
        """
        key = self._prefix + _PROBE
        with self._translated():
            self._client.put_object(Bucket=self._bucket, Key=key, Body=b"")
        # Nothing else is ever removed, so that this need not be allowed.
        with suppress(OSError), self._translated():
            self._client.delete_object(Bucket=self._bucket, Key=key)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of boto3 as those of the system."""
        try:
            yield
        except (BotoCoreError, ClientError, Boto3Error, ValueError) as error:
            said = self._without_secrets(_said(error))
            translated = ConnectionError(said) if _passes(error) else OSError(said)
        else:
            return
        # Outside of the handler: a traceback has nothing of what boto3 said.
        raise translated

    def _without_secrets(self, text: str) -> str:
        """A text without credentials: boto3 quotes those that it cannot send."""
        # The URL of an endpoint may have a user and a password.
        text = _USER_OF_URL.sub("//***@", text)
        try:
            found = self._session and self._session.get_credentials()
        except BotoCoreError:
            found = None
        for secret in (found.access_key, found.secret_key, found.token) if found else ():
            # In one piece, and without what made them useless.
            for part in (secret or "").split():
                text = text.replace(part, "***")
        return text


def _said(error: Exception) -> str:
    answer = error.response.get("Error", {}) if isinstance(error, ClientError) else {}
    if answer.get("Message"):
        return in_one_line(RuntimeError(f"{answer['Message']} ({answer.get('Code')})"))
    return in_one_line(error)


def _passes(error: Exception) -> bool:
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or error.response.get("Error", {}).get("Code") in _BUSY
    return isinstance(error, NoConnectionError | HTTPClientError | IncompleteReadError)
