from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.config import InputError, checked_artifacts_url, load, split_s3

fixed = settings(derandomize=True, deadline=None)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3://trainings", ("trainings", "")),
        ("s3://trainings/", ("trainings", "")),
        ("S3://my.bucket-1/a b/c//", ("my.bucket-1", "a b/c")),
    ],
)
def test_a_place_in_s3_is_a_bucket_and_a_prefix(text: str, place: tuple[str, str]) -> None:
    checked = checked_artifacts_url(text)
    assert split_s3(checked) == place
    assert checked_artifacts_url(checked) == checked


def test_a_relative_folder_is_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert checked_artifacts_url("files/of mine") == str(tmp_path / "files" / "of mine")
    assert checked_artifacts_url("/files") == "/files"
    assert split_s3("/files") is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "allowed: a FOLDER, or s3://BUCKET/PREFIX"),
        ("a\0b", "allowed: a FOLDER"),
        ("gs://bucket/x", "found 'gs' before ://"),
        ("s3://", "found the bucket ''"),
        ("s3://Bucket", "allowed: 3 to 63 of a-z"),
        ("s3://../etc", "found the bucket '..'"),
        ("s3://bucket/../other", "found the prefix '../other'"),
        ("s3://bucket/a//b", "names between single slashes"),
        ("s3://bucket/a\nb", "names between single slashes"),
        ("s3://bucket/" + "x" * 901, "at most 900 bytes"),
    ],
)
def test_what_cannot_be_used_is_said_with_what_can(text: str, part: str) -> None:
    with pytest.raises(ValueError) as raised:
        checked_artifacts_url(text)
    assert part in str(raised.value)


@pytest.mark.parametrize(
    "text", ["s3://AKIA1:s3cr3t@bucket/x", "s3://bucket?s3cr3t", "s3://b#s3cr3t"]
)
def test_a_secret_is_refused_and_not_repeated(text: str, tmp_path: Path, write_study) -> None:
    study = write_study(tmp_path / "tiny.toml", study={"artifacts": text})
    with pytest.raises(InputError, match=r"study\.artifacts: found one of @, \? and #") as raised:
        load(study)
    assert "s3cr3t" not in str(raised.value)
    assert "AWS_SECRET_ACCESS_KEY" in str(raised.value)


@fixed
@given(st.text("s3:/.@?#aB- \\\0~é", max_size=30))
def test_what_is_taken_is_taken_again(text: str) -> None:
    try:
        checked = checked_artifacts_url(text)
    except ValueError:
        return
    assert checked_artifacts_url(checked) == checked
    if place := split_s3(checked):
        assert checked == "s3://" + "/".join(part for part in place if part)
        assert ".." not in place[1].split("/")
    else:
        assert Path(checked).is_absolute()
