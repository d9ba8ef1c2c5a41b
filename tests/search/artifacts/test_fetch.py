"""Files of trials that come back from an artifact store as they were, or not at all."""

from __future__ import annotations

import json
import uuid

import pytest
from optuna.artifacts.exceptions import ArtifactNotFound
from writing_trainer import WritingTrainer

from allocsearch.config import InputError
from allocsearch.search.artifacts.fetch import fetch_files, trial_files
from allocsearch.search.artifacts.links import stored_files
from allocsearch.search.artifacts.opening import open_store
from allocsearch.search.records import read_study
from allocsearch.search.storage import NO_PATIENCE, trial_folder
from allocsearch.search.worker import work

NAMES = (
    "..",
    ".",
    "../x",
    "../../etc/passwd",
    "/etc/passwd",
    "a\\b",
    "",
    "a\0b",
    "a//b",
    "a/../b",
)
LINK = {"filename": "x", "size": 0, "sha256": "0" * 64, "artifact_id": str(uuid.UUID(int=1))}


@pytest.fixture
def trained(begin, tmp_path):
    """The files of a trial in a store, by name, the store, and its folder."""
    folder = tmp_path / "store"
    study, config = begin(str(folder), trials=1)
    work(study, config, tmp_path / "runs" / "tiny", WritingTrainer())
    files = {f.filename: f for f in stored_files(0, study.trials[0].system_attrs)}
    return files, open_store(str(folder), NO_PATIENCE), folder


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_out_of_the_folder(name):
    link = {"artifacts:1": json.dumps(LINK | {"filename": name})}
    with pytest.raises(InputError, match="of trial 3 in the storage: filename: found "):
        stored_files(3, link)


@pytest.mark.parametrize("content", ["{", 3, "[" * 10**5, '{"sha256": 1}', '{"sha256": ""}'])
def test_a_link_that_is_none_is_one_line(content):
    with pytest.raises(InputError, match="file 'artifacts:1' of trial 3 in the storage: ") as told:
        stored_files(3, {"artifacts:1": content})
    assert "\n" not in str(told.value)


def test_two_files_of_one_name_are_refused():
    links = {f"artifacts:{i}": json.dumps(LINK) for i in range(2)}
    with pytest.raises(InputError, match="trial 3 in the storage: two files 'x'"):
        stored_files(3, links)


def test_what_others_have_attached_or_removed_is_left_out():
    note = {"artifact_id": "1", "filename": "../note", "mimetype": "text/plain", "encoding": None}
    attributes = {"artifacts:1": json.dumps(note), "artifacts:2": "null", "other": "{"}
    assert stored_files(3, attributes) == ()


def test_no_id_leads_out_of_the_store(place, tmp_path):
    store = open_store(place, NO_PATIENCE)
    for path in ("etc/passwd", "x"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("out of the store")
    for name in (*NAMES, uuid.UUID(int=1).hex, "0" * 36):
        for call in (store.open_reader, store.remove):
            with pytest.raises(ArtifactNotFound, match="no id of an artifact"):
                call(name)
    assert (tmp_path / "x").exists()


def test_a_link_in_the_folder_does_not_lead_out_of_it(trained, tmp_path):
    files, store, _ = trained
    folder, outside = tmp_path / "fetched", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "weights").symlink_to(outside)
    with pytest.raises(InputError, match=r"weights/last\.bin: leads out of"):
        fetch_files(files.values(), folder, store)
    assert not list(outside.iterdir())


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 9 + b"x", bytes(2304)])
def test_other_content_is_not_taken(trained, tmp_path, content):
    files, store, place = trained
    file = files["weights/last.bin"]
    (place / file.artifact_id).write_bytes(content)
    with pytest.raises(InputError, match="is not the file of 2304 bytes that was put there"):
        fetch_files([file], tmp_path / "fetched", store)
    assert not [path for path in (tmp_path / "fetched").rglob("*") if path.is_file()]


def test_what_the_store_has_lost_is_said(trained, tmp_path):
    files, store, place = trained
    file = files["metrics.json"]
    (place / file.artifact_id).unlink()
    with pytest.raises(InputError, match=f"the artifact store has no {file.artifact_id}"):
        fetch_files([file], tmp_path / "fetched", store)


def test_what_is_there_is_not_fetched_and_what_is_damaged_is(trained, tmp_path):
    files, store, place = trained
    folder = tmp_path / "fetched"
    metrics, weights = fetch_files(files.values(), folder, store)
    weights.write_bytes(b"damaged")
    (place / files["metrics.json"].artifact_id).unlink()
    assert fetch_files(files.values(), folder, store) == (metrics, weights)
    assert weights.read_bytes() == bytes(range(256)) * 9


def test_without_a_store_they_are_where_they_were_written(begin, tmp_path):
    study, config = begin(None, kept=True, trials=1)
    folder = tmp_path / "runs" / "tiny"
    work(study, config, folder, WritingTrainer())
    record = read_study(study, config, folder)
    found = trial_files(record, 0)
    assert trial_folder(folder, 0) / "metrics.json" in found
    (folder / "trials").rename(folder / "gone")
    with pytest.raises(InputError, match="the files of trial 0 are not here, but in the run"):
        trial_files(record, 0)
