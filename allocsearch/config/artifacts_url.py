"""Where an artifact store is: a folder, or a part of a bucket that speaks S3."""

from __future__ import annotations

import re
from pathlib import Path

from allocsearch.config.errors import shown

_ALLOWED = "allowed: a FOLDER, or s3://BUCKET/PREFIX"
_S3 = "s3://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# Object keys of 1,024 bytes are the longest; an id takes some of them.
_LONGEST_PREFIX = 900


def checked_artifacts_url(text: str) -> str:
    """The place of an artifact store as it can be stored: a known kind, without credentials.

    Returns:
        The URL without a slash at its end, or the folder; one that was relative is of the working
        directory.

    Raises:
        ValueError: With what is allowed. What may be a secret is not in the message.
    """
    if text.lower().startswith(_S3):
        return _checked_s3(text[len(_S3) :])
    if "://" in text:
        raise ValueError(f"found {shown(text.partition('://')[0])} before ://; {_ALLOWED}")
    if not text.strip() or "\0" in text:
        raise ValueError(f"found {shown(text)}; {_ALLOWED}")
    return str(Path(text).absolute())


def split_s3(url: str) -> tuple[str, str] | None:
    """Bucket and prefix of a checked place in S3; None for a folder."""
    if not url.startswith(_S3):
        return None
    bucket, _, prefix = url[len(_S3) :].partition("/")
    return bucket, prefix


def _checked_s3(place: str) -> str:
    if any(mark in place for mark in "@?#"):
        raise ValueError(
            "found one of @, ? and # in the URL; allowed: s3://BUCKET/PREFIX. Credentials, region "
            "and endpoint come from the environment or the files of AWS, as AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL"
        )
    bucket, _, prefix = place.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(
            f"found the bucket {shown(bucket)}; allowed: 3 to 63 of a-z, 0-9, . and -, as in "
            "s3://BUCKET/PREFIX"
        )
    parts = prefix.rstrip("/").split("/") if prefix.rstrip("/") else []
    good = prefix.isprintable() and len(prefix.encode()) <= _LONGEST_PREFIX
    if not good or any(part in ("", ".", "..") for part in parts):
        raise ValueError(
            f"found the prefix {shown(prefix)}; allowed: names between single slashes, of at most "
            f"{_LONGEST_PREFIX} bytes together"
        )
    return _S3 + "/".join([bucket, *parts])
