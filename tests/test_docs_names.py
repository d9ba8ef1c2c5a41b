"""The modules, functions, files and links that the pages name are there."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

from allocsearch.report import figures

ROOT = Path(__file__).parents[1]
# Of these, mkdocs does not follow the links as they stand.
OUTSIDE = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ROOT / "benchmarks" / "RESULTS.md",
]
PAGES = [*OUTSIDE, *sorted((ROOT / "docs").rglob("*.md"))]
DOTTED = re.compile(r"(?<![\w./])allocsearch(?:\.[A-Za-z]\w*)+")
ROOMS = r"\.ci|allocsearch|benchmarks|docs|search_spaces|studies|tests"
PATHS = re.compile(rf"(?<![\w./-])(?:{ROOMS})/[\w./*-]*[\w*]")
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
FIGURES = (ROOT / "docs" / "figures.md").read_text()
ROW = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \| `([\w.]+)` \|", re.MULTILINE)
# Also in the third column, and in the text.
OF = re.compile(r"((?:`\w+`, )*`\w+`) of `([\w.]+)`")


def made_by_pages() -> set[str]:
    """The files that the pages on extending the package have their readers make."""
    found = (re.findall(r"<!-- file: (.+?) -->", page.read_text()) for page in PAGES)
    return {name for names in found for name in names}


def pairs(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    return [
        (name, module)
        for names, module in pattern.findall(FIGURES)
        for name in re.findall(r"\w+", names)
    ]


def exists(dotted: str) -> bool:
    """Whether there is such a module, or a name in one; nothing is imported, which takes long."""
    place, names = ROOT, dotted.split(".")
    while names and (place / names[0]).is_dir():
        place /= names.pop(0)
    if names and (place / f"{names[0]}.py").exists():
        place /= f"{names.pop(0)}.py"
    source = (place if place.suffix else place / "__init__.py").read_text()
    return all(re.search(rf"\b{name}\b", source) for name in names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_and_every_file_exists(page):
    made = made_by_pages()
    modules = tuple(name.removesuffix(".py").replace("/", ".") for name in made)
    for name in DOTTED.findall(page.read_text()):
        # A module that a page has its readers write is none of ours.
        if not name.startswith(modules):
            assert exists(name), name
    for name in PATHS.findall(page.read_text()):
        assert name in made or [*ROOT.glob(name)], name


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: page.name)
def test_every_link_outside_the_site_leads_somewhere(page):
    for path, anchor in LINK.findall(page.read_text()):
        there = page.parent / path if path else page
        assert there.exists(), path
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
            assert anchor in slugs, (path, anchor)


@pytest.mark.parametrize(("name", "module"), [*pairs(ROW), *pairs(OF)])
def test_every_function_of_the_page_of_figures_is_where_it_says(name, module):
    assert callable(getattr(import_module(f"allocsearch.report.{module}"), name))


def test_the_page_of_figures_has_every_figure():
    """A public function of `report.figures` that returns a figure is in the table."""
    [folder] = figures.__path__
    modules = [f"figures.{path.stem}" for path in Path(folder).glob("*_figures.py")]
    drawn = {
        (name, module)
        for module in modules
        for name, function in vars(import_module(f"allocsearch.report.{module}")).items()
        if inspect.isfunction(function)
        and function.__module__ == f"allocsearch.report.{module}"
        and function.__annotations__["return"] == "go.Figure"
        and not name.startswith("_")
    }
    assert {*pairs(ROW)} == drawn
