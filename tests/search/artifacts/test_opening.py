"""What is wrong with an artifact store is said in one line, before anything is written to it."""

from __future__ import annotations

import io
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from allocsearch.config import InputError
from allocsearch.search.artifacts import s3_store
from allocsearch.search.artifacts.folder_store import FolderStore
from allocsearch.search.artifacts.opening import PatientStore, check_store, open_store
from allocsearch.search.storage import NO_PATIENCE
from allocsearch.search.storages.patience import Patience

ID = str(uuid.UUID(int=7))


def test_a_store_that_can_be_used_is_left_as_it_was(place, s3):
    check_store(place)
    assert not Path(place).exists()
    store = open_store(place, NO_PATIENCE)
    store.write(ID, io.BytesIO(b"content"))
    check_store(place, is_there=True)
    with store.open_reader(ID) as reader:
        assert reader.read() == b"content"
    assert s3.keys() == ([f"of/mine/{ID}"] if place.startswith("s3://") else [])


def test_a_folder_that_cannot_be_one_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for place, problem in [
        ("file", "not a folder"),
        ("file/below", "not a folder"),
        ("x" * 300, "File name too long"),
    ]:
        with pytest.raises(InputError, match=f"study.artifacts: .*: {problem}"):
            check_store(str(tmp_path / place))
    with pytest.raises(InputError, match=r"no such folder here; allowed: the path .* --artifacts"):
        check_store(str(tmp_path / "missing"), is_there=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_may_not_be_written_to_is_refused():
    # Of the system: nobody may, whoever runs the test.
    with pytest.raises(InputError, match=r"study\.artifacts: /proc"):
        check_store("/proc/self")
    with pytest.raises(InputError, match=r"study\.artifacts: /proc"):
        check_store("/proc/self/store")


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("AWS_ACCESS_KEY_ID", None, "Unable to locate credentials"),
        ("AWS_PROFILE", "nobody", "The config profile (nobody) could not be found"),
        ("AWS_ENDPOINT_URL", "nonsense", "Invalid endpoint: nonsense"),
        ("AWS_SESSION_TOKEN", "s3cr3t-token\n", "An HTTP Client raised an unhandled"),
        ("AWS_ENDPOINT_URL", "http://ann:s3cr3t@127.0.0.1:1", "Could not connect to the endpoint"),
    ],
)
def test_what_boto3_does_not_find_is_said(s3, tmp_path, monkeypatch, variable, value, problem):
    monkeypatch.setenv("HOME", str(tmp_path))
    if value is None:
        monkeypatch.delenv(variable)
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    else:
        monkeypatch.setenv(variable, value)
    with pytest.raises(InputError) as raised:
        check_store(s3.place)
    assert str(raised.value).startswith(f"study.artifacts: {s3.place}: {problem}")
    assert "s3cr3t" not in str(raised.value)


def test_a_bucket_that_is_not_there_is_refused(s3):
    with pytest.raises(InputError, match="other/prefix: The specified bucket does not exist"):
        check_store("s3://other/prefix")


def test_boto3_is_asked_for_where_it_is_needed(monkeypatch, tmp_path):
    monkeypatch.setattr(s3_store, "_MISSING", "boto3")
    with pytest.raises(InputError, match=r"s3:// needs boto3; pip install 'allocsearch\[distrib"):
        check_store("s3://trainings")
    check_store(str(tmp_path / "store"))
    # As it is without it.
    code = (
        "import sys; sys.modules['boto3'] = None\n"
        "from allocsearch.search.artifacts.s3_store import S3Store\n"
        "try: S3Store('bucket', '')\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "needs boto3; pip install" in done.stdout


def test_what_fails_for_a_while_is_tried_again(tmp_path, caplog):
    class Unreliable(FolderStore):
        left = 3

        def write(self, artifact_id, content_body):
            self.left -= 1
            if self.left > 0:
                content_body.read(4)
                raise ConnectionError("lost")
            super().write(artifact_id, content_body)

    store = PatientStore(Unreliable(tmp_path), Patience())
    store.write(ID, io.BytesIO(b"the whole of it"))
    assert (tmp_path / ID).read_bytes() == b"the whole of it"
    assert "the artifact store fails (lost); trying for 600 s" in caplog.text


def test_a_write_that_breaks_off_leaves_nothing(tmp_path):
    class Torn(io.BytesIO):
        def read(self, size=-1):
            if self.tell():
                raise RuntimeError("torn")
            return super().read(3)

    with pytest.raises(RuntimeError, match="torn"):
        FolderStore(tmp_path).write(ID, Torn(b"content"))
    assert not list(tmp_path.iterdir())
