"""An export of unknown origin: what is told of it is text, and no name in it is a file."""

from __future__ import annotations

import dataclasses

import pytest

from allocsearch.report.exports.export import export_trial, load_export
from allocsearch.report.exports.repetition import repetition_lines

EVIL = ("../../x", "/etc/passwd", "\x1b[2J\x1b]0;x\x07", "\0\r\n\x85\u202e", "<script>", "[/red]")


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("ending", ["toml", "yaml", "json"])
def test_its_origin_is_kept_as_text_and_told_without_control_characters(
    study, tmp_path, evil, ending
):
    exported = export_trial(
        study, dataclasses.replace(study.trials[0], provenance={"torch": evil})
    )
    origin = exported.provenance.model_copy(update={"study": evil, "data_fingerprint": evil})
    path = tmp_path / f"best.{ending}"
    written = exported.model_copy(update={"provenance": origin}).to_text(ending)
    path.write_text(written, newline="")
    loaded = load_export(path)
    assert loaded.provenance.study == evil
    lines = repetition_lines(loaded, exported.metrics, {"torch": "2.7.0", "data": "xyz"})
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
