from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import StudyConfig, load

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "studies").glob("*.*ml"))
SPACES = sorted((ROOT / "search_spaces").glob("*.*ml"))


def test_every_field_but_data_and_budget_has_a_default(study):
    loaded = load(study)
    assert loaded.study.objectives == ("max:retention", "min:attenuation", "max:auroc")
    assert loaded.search_space.budget == 24
    assert loaded.data.id.source == "digits"
    assert loaded.data.ood_validation[0].title == "inversion"
    assert set(tomllib.loads(loaded.to_toml())) == set(StudyConfig.model_fields)


@pytest.mark.parametrize("path", SHIPPED, ids=[path.name for path in SHIPPED])
def test_every_shipped_study_loads(path, tmp_path):
    loaded = load(path)
    resolved = tmp_path / "study.toml"
    resolved.write_text(loaded.to_toml())
    assert load(resolved) == loaded


def test_there_are_shipped_studies():
    assert "quickstart.toml" in [path.name for path in SHIPPED]


@pytest.mark.parametrize("path", SPACES, ids=[path.name for path in SPACES])
def test_every_shipped_search_space_serves_a_study(study, path):
    overrides = [f"search_space.file={json.dumps(str(path))}"]
    content = tomllib.loads(path.read_text())
    if content["kind"] == "table":
        budget = Allocation.parse(content["allocations"][0]).budget
        overrides.append(f"search_space.budget={budget}")
    assert load(study, overrides).search_space.kind == content["kind"]


@pytest.fixture
def with_space(tmp_path, minimal):
    """Writes a study in one folder that takes its space from a file in another."""

    def write(space, own="", name="space.toml"):
        (tmp_path / "studies").mkdir(exist_ok=True)
        (tmp_path / "spaces").mkdir(exist_ok=True)
        study = tmp_path / "studies" / "study.toml"
        line = f'file = "../spaces/{name}"\n{own}'
        study.write_text(minimal.replace("budget = 24", line))
        file = study.parent / "../spaces" / name
        file.write_text(space)
        return study, file

    return write


def test_a_study_overrides_its_space_file(with_space):
    study, _ = with_space("kind = 'ratio'\nbudget = 24\nmin_dim = 2", "min_dim = 3")
    space = load(study).search_space
    assert (space.kind, space.budget, space.min_dim) == ("ratio", 24, 3)
    assert load(study, ["search_space.min_dim=4"]).search_space.min_dim == 4
    assert "file" not in tomllib.loads(load(study).to_toml())["search_space"]


def test_a_space_file_can_be_yaml(with_space):
    study, _ = with_space("kind: ratio\nbudget: 24\n", name="space.yaml")
    assert load(study).search_space.kind == "ratio"


def test_an_override_can_name_the_space_file(study, tmp_path):
    (tmp_path / "other.toml").write_text("kind = 'ratio'")
    assert load(study, ["search_space.file=other.toml"]).search_space.kind == "ratio"


@pytest.mark.parametrize(
    ("space", "own", "in_space", "fragment"),
    [
        ("budget = -1", "", True, "budget: found -1"),
        ("budget = -1", "budget = -2", False, "search_space.budget: found -2"),
        ("budget = 24\nmin_dim = 0", "", True, "min_dim: found 0"),
        ("budget = 24", "min_dim = 0", False, "search_space.min_dim: found 0"),
        ("bugdet = 24", "", True, "bugdet: unknown key. Did you mean budget? Allowed: kind, "),
        ("budget = 24", "mindim = 2", False, "unknown key. Did you mean search_space.min_dim?"),
        ("min_dim = 2", "", False, "search_space.budget: missing"),
        ("budget = 24", "layers = 30", True, "budget: budget 24 is less than 30 layers"),
        ("budget = 24\nfile = 'x.toml'", "", True, "file: only a study file can name"),
        ("budget = [", "", True, "not valid TOML"),
    ],
)
def test_a_mistake_names_the_file_it_is_in(with_space, space, own, in_space, fragment, message_of):
    study, file = with_space(space, own)
    message = message_of(study)
    assert message.startswith(f"{file if in_space else study}: ")
    assert fragment in message


def test_a_space_file_that_is_not_there(study, message_of):
    missing = study.parent / "missing.toml"
    assert message_of(study, ["search_space.file=missing.toml"]) == f"{missing}: no such file"
    assert message_of(study, ["search_space.file=."]).startswith(f"{study.parent}: Is a directory")
    wrong = message_of(study, ["search_space.file=5"])
    assert wrong == f"{study}: search_space.file: found 5; allowed: a file name"
