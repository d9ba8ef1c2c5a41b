from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from allocsearch.config import InputError
from allocsearch.report.exports.export import load_export
from allocsearch.search.evaluation.evaluations import (
    Evaluation,
    Opening,
    append_opening,
    evaluation_folder,
    read_evaluation,
    read_openings,
    write_evaluation,
)

# Written before there was a version 2.
OLD = Path(__file__).with_name("versions") / "export_1.toml"


def test_an_export_of_version_1_loads():
    content = tomllib.loads(OLD.read_text())
    assert content["schema_version"] == 1
    exported = load_export(OLD)
    assert exported.schema_version == 2
    assert (exported.provenance.pick, exported.provenance.where) == (None, ())
    assert exported.dims == (16, 5, 3)
    assert exported.seed == content["seed"]
    assert exported.metrics == content["metrics"]
    assert exported.model.hidden == content["model"]["hidden"]


def test_an_export_of_a_newer_version_says_what_to_do(tmp_path):
    path = tmp_path / "best.toml"
    path.write_text(OLD.read_text().replace("schema_version = 1", "schema_version = 3\nnew = 1"))
    with pytest.raises(InputError, match=r"best\.toml: schema_version: found 3, .*; upgrade: pip"):
        load_export(path)


def test_evaluations_without_a_version_are_read_and_newer_ones_refused(tmp_path):
    opening = Opening(1, "2026-01-01T00:00:00Z", ("8-8",), ("8-8",), (1,), {"a": "b"}, "c")
    append_opening(tmp_path, opening)
    append_opening(tmp_path, replace(opening, number=2))
    evaluation = Evaluation(opening, "study", ("a",), {"torch": "2"}, ())
    write_evaluation(tmp_path, evaluation)
    paths = (
        tmp_path / "test_evaluations.json",
        evaluation_folder(tmp_path, opening) / "evaluation.json",
    )
    texts = [path.read_text() for path in paths]
    for version, path, text in zip(('"schema_version": 1',) * 2, paths, texts, strict=True):
        assert version in text
        path.write_text(text.replace(f",\n  {version}", "").replace(f",\n {version}", ""))
        assert version not in path.read_text()
    assert [found.number for found in read_openings(tmp_path)] == [1, 2]
    assert read_evaluation(tmp_path, opening) == evaluation
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text.replace('"schema_version": 1', '"schema_version": 2'))
    for read in (lambda: read_openings(tmp_path), lambda: read_evaluation(tmp_path, opening)):
        with pytest.raises(InputError, match=r"\.json: schema_version: found 2, .* up to 1; upg"):
            read()
