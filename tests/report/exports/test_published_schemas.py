from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

from allocsearch.config import load
from allocsearch.report.exports.export import export_trial
from allocsearch.report.exports.pick import pick
from allocsearch.report.exports.published_schemas import published_schemas, write_schemas

ROOT = Path(__file__).parents[3]
STUDIES = sorted((ROOT / "studies").glob("*.toml"))


def _validator(name):
    schema = json.loads((ROOT / "docs" / "schema" / name).read_text())
    checked = jsonschema.validators.validator_for(schema)
    checked.check_schema(schema)
    return checked(schema)


def test_what_is_published_is_what_the_models_give(tmp_path):
    write_schemas(tmp_path)
    again = "python -m allocsearch.report.exports.published_schemas docs/schema"
    for path in tmp_path.iterdir():
        assert (ROOT / "docs" / "schema" / path.name).read_text() == path.read_text(), again
    assert {*published_schemas()} == {path.name for path in (ROOT / "docs" / "schema").iterdir()}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_studies_are_as_the_schema_says(path):
    validator = _validator("study.json")
    for text in (path.read_text(), load(path).to_toml()):
        assert [*validator.iter_errors(tomllib.loads(text))] == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("search_space", "bugdet", 96),
        ("search_space", "budget", 0),
        ("search_space", "layers", [0]),
        ("data", "id", "digit"),
        ("data", "ood_validation", ["inversio"]),
        ("training", "epochs", "3"),
        ("study", "sampler", "annealing"),
        ("trian", "epochs", 3),
    ],
)
def test_the_schema_refuses_what_a_study_file_may_not_have(section, key, value):
    content = tomllib.loads(STUDIES[-2].read_text())
    content.setdefault(section, {})[key] = value
    assert [*_validator("study.json").iter_errors(content)]


def test_a_search_space_has_its_budget_here_or_in_its_file():
    validator = _validator("study.json")
    content = {"data": {"id": "digits"}, "search_space": {"layers": 2}}
    assert not validator.is_valid(content)
    for more in ({"budget": 24}, {"file": "simplex.toml"}):
        content["search_space"] = {"layers": 2, **more}
        assert validator.is_valid(content)


def test_exports_are_as_the_schema_says(replicated):
    validator = _validator("export.json")
    exported = export_trial(replicated, pick(replicated, "knee"), "knee", ["auroc>=0.1"])
    assert exported.certainty is not None
    read = {"toml": tomllib.loads, "yaml": yaml.safe_load, "json": json.loads}
    for name, parse in read.items():
        content = parse(exported.to_text(name))
        assert [*validator.iter_errors(content)] == []
        assert not validator.is_valid({**content, "sed": 3})
        assert not validator.is_valid({**content, "schema_version": 1})
