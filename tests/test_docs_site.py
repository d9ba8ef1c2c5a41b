"""The parts of the documentation that are made, and the links of the pages that are not in it."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from pydantic import BaseModel

from allocsearch.config import DataSection, PretrainingSection, Shift, Source, StudyConfig

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#]+)")


def hook(name: str) -> ModuleType:
    """A hook of the site, which needs the extra `docs`."""
    pytest.importorskip("mkdocs", reason="no mkdocs here")
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "hooks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_key_of_a_study_file_is_explained():
    text = hook("reference").study_file_page()
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    models: dict[str, type[BaseModel]] = {
        f"[{name}]": DataSection if name == "data" else field.annotation
        for name, field in StudyConfig.model_fields.items()
        if name != "schema_version"
    }
    models |= {"A data set { #source }": Source, "A synthetic shift { #shift }": Shift}
    models["[training.pretrain] { #pretrainingsection }"] = PretrainingSection
    assert {*sections} == {*models}
    for title, model in models.items():
        # Name, type, more or less of what is allowed, default and, at the end, what it means.
        rows = [line.strip("| ").split(" | ") for line in sections[title].splitlines()[5:]]
        meanings = {row[0]: row[-1] for row in rows if len(row) > 1}
        assert {*meanings} == {*model.model_fields}
        assert all(len(meaning.split()) > 1 for meaning in meanings.values())


def test_every_command_is_listed_in_a_whole_sentence():
    text = hook("reference").commands_page()
    listed = dict(re.findall(r"^\* `(\w+)`: (.+)$", text.partition("## `")[0], re.MULTILINE))
    assert {*listed} == {*re.findall(r"^## `allocsearch (\w+)`$", text, re.MULTILINE)}
    assert len(listed) > 5
    for name, sentence in listed.items():
        assert sentence.endswith("."), name
        assert not sentence.endswith("..."), name


def test_a_key_without_an_explanation_is_noticed():
    class Unexplained(Source):
        """A section."""

        further: int = 0

    Unexplained.__name__ = "Source"
    with pytest.raises(KeyError, match="further"):
        hook("reference").section_text("[x]", Unexplained)


@pytest.mark.parametrize(
    ("page", "link", "led"),
    [
        ("trainers.md", "[a](../studies/callable.toml)", "[a](studies/callable.toml)"),
        ("index.md", "[a](../benchmarks/RESULTS.md#x)", "[a](results.md#x)"),
        ("results.md", "[a](tables)", "a"),
        ("contributing.md", "[a](docs/theory.md)", "[a](theory.md)"),
        ("index.md", "[a](nowhere.md)", "[a](nowhere.md)"),
        ("index.md", "[a](https://optuna.org)", "[a](https://optuna.org)"),
    ],
)
def test_links_lead_to_where_the_site_has_a_file(page, link, led):
    repository = hook("repository")
    made = SimpleNamespace(file=SimpleNamespace(src_uri=page))
    assert repository.on_page_markdown(link, made, None, None) == led


def test_every_section_of_the_report_is_explained():
    page = (ROOT / "allocsearch" / "report" / "page.html.jinja").read_text()
    found = {re.sub(r" \(.*", "", title) for title in re.findall("<h2>(.+?)</h2>", page)}
    named = re.findall(r"\*\*(.+?)\*\*", (ROOT / "docs" / "front.md").read_text())
    assert len(found) > 10
    assert found - {"No recommendation"} <= {text.rstrip(".") for text in named}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_repository_lead_somewhere(name):
    for target in LINK.findall((ROOT / name).read_text()):
        assert (ROOT / target).exists(), target


def test_a_package_index_gets_no_relative_link():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / project["readme"]).read_text()
    assert project["description"] in text
    assert not LINK.findall(text)
