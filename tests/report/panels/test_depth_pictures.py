"""The pictures of a real run on its page."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from allocsearch.report.content import content_of
from allocsearch.report.front import study_front
from allocsearch.report.page import render_page
from allocsearch.report.panels.chosen_files import chosen_files
from allocsearch.report.panels.depth_pictures import depth_pictures
from allocsearch.report.representatives import representatives
from allocsearch.search.records import StudyRecord, read_run
from allocsearch.search.storage import trial_folder


@pytest.fixture
def record(finished_run, tmp_path) -> StudyRecord:
    shutil.copytree(finished_run.folder, tmp_path / "run")
    return read_run(tmp_path / "run")


def made(record: StudyRecord):
    files = chosen_files(record, study_front(record))
    return depth_pictures(record, representatives(record), files)


def picture_files(record: StudyRecord) -> list[Path]:
    numbers = [trial.number for trial in representatives(record)]
    return [trial_folder(record.folder, number) / "depths.png" for number in numbers]


def test_the_page_has_the_pictures_of_the_trials_in_words_too(record: StudyRecord) -> None:
    found, omitted = made(record)
    assert omitted == ()
    page = render_page(record)
    assert 'id="reconstructions"' in page
    assert 'href="#reconstructions"' in page
    images = re.findall(r'<img alt="([^"]+)" src="data:image/png;base64,([^"]+)">', page)
    assert len(images) == len(found) == len(picture_files(record))
    for (alt, content), path, picture, trial in zip(
        images, picture_files(record), found, representatives(record), strict=True
    ):
        assert base64.b64decode(content) == path.read_bytes()
        assert alt == picture.description
        assert str(trial.allocation) in alt
        assert "k = 0, 1, 2" in alt
        assert picture.rows == ("data", "k = 0", "k = 1", "k = 2")
        distortion = [f"{trial.metrics[name]:.2f}" for name in ("distortion", "distortion_skip_1")]
        explained = [f"{trial.metrics[f'explained_skip_{k}']:.3f}" for k in (0, 1)]
        assert [row[1:] for row in picture.data.rows] == [*zip(distortion, explained, strict=True)]


def test_what_is_missing_is_said(record: StudyRecord) -> None:
    paths = picture_files(record)
    for path in paths:
        path.unlink()
    found, [told] = made(record)
    assert found == ()
    assert "no depths.png, which is made of grey and RGB images alone" in told
    page = render_page(record)
    assert told in page
    assert 'id="reconstructions"' not in page
    assert "<img" not in page
    shutil.rmtree(record.folder / "trials")
    assert "the files are not in this run folder" in made(record)[1][0]
    kept = record.config.evaluation.model_copy(update={"keep": "none"})
    config = record.config.model_copy(update={"evaluation": kept})
    assert "evaluation.keep is 'none'" in made(dataclasses.replace(record, config=config))[1][0]


def png(width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.new("1", (width, height)).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize("content", ["", "cut", "other", "large", "svg", "wide", "bomb"])
def test_another_file_is_not_embedded(record: StudyRecord, content: str) -> None:
    path = picture_files(record)[0]
    whole = path.read_bytes()
    # A picture of one pixel has no four rows.
    pixel = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
    )
    contents = {
        "": b"",
        "cut": whole[:-60],
        "other": pixel,
        "large": whole + bytes(1 << 21),
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        "wide": png(9000, 4),
        # Few bytes of many pixels, of which Pillow would warn.
        "bomb": png(10_000, 10_000) if content == "bomb" else b"",
    }
    path.write_bytes(contents[content])
    found, [told] = made(record)
    assert len(found) == len(picture_files(record)) - 1
    assert told == f"Reconstructions by depth: {path}: not a picture of 4 rows."


def test_a_picture_of_elsewhere_is_not_embedded(record: StudyRecord, tmp_path: Path) -> None:
    path = picture_files(record)[0]
    path.rename(tmp_path / "private.png")
    path.symlink_to(tmp_path / "private.png")
    found, [told] = made(record)
    assert len(found) == len(picture_files(record)) - 1
    assert f"{path}: leads out of {path.parent}" in told


def test_they_are_among_the_image_files_with_their_rows_named(record: StudyRecord) -> None:
    content = content_of(record, study_front(record))
    figures = [panel for panel in content.figures if panel.section == "reconstructions"]
    assert content.figures == (*content.panels, *figures)
    for panel, path, trial in zip(
        figures, picture_files(record), representatives(record), strict=True
    ):
        assert panel.name == f"reconstructions-{trial.allocation}-trial-{trial.number}"
        [image] = panel.figure.data
        assert base64.b64decode(image.source.partition(",")[2]) == path.read_bytes()
        axis = panel.figure.layout.yaxis
        with Image.open(path) as picture:
            row = picture.height / 4
        assert dict(zip(axis.ticktext, axis.tickvals, strict=True)) == {
            name: row * (i + 0.5) - 0.5
            for i, name in enumerate(["data", "k = 0", "k = 1", "k = 2"])
        }
        assert [len(r) for r in panel.data.rows] == [3, 3]


def test_a_study_without_trials_has_no_pictures(study_of) -> None:
    assert made(study_of([])) == ((), ())
