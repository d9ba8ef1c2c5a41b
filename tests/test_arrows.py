from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "allocsearch"


def table():
    """The rooms and what each may import, as CONTRIBUTING.md has them."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", text, flags=re.MULTILINE)
    return {room: set(re.findall(r"`(\w+)`", allowed)) for room, allowed in rows}


def lint(folder):
    """Whether the contracts hold in a copy of the project, and what import-linter says."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        PACKAGE, tmp_path / "allocsearch", ignore=shutil.ignore_patterns("__pycache__", ".*")
    )
    return tmp_path


def plant(folder, room, *imports):
    """Add imports to a room: a new module of a package, the end of a module."""
    path = folder / "allocsearch" / room
    target = path / "planted.py" if path.is_dir() else path.with_suffix(".py")
    with target.open("a") as file:
        file.write("".join(f"\nimport {name}\n" for name in imports))


def broken(output):
    return set(re.findall(r"^(.*) BROKEN\b", output, re.MULTILINE))


def test_every_arrow_points_down():
    kept, output = lint(ROOT)
    assert kept, output


def test_the_table_has_every_room():
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(table()) == modules | packages


def test_what_the_report_takes_from_the_search_is_named():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    [listed] = re.findall(r"^From `search`, `report` takes .*?\((.*?)\)", text, re.M | re.S)
    contracts = (ROOT / "pyproject.toml").read_text()
    allowed = re.findall(r'"allocsearch\.report\.\*\* -> allocsearch\.search\.(.+)"', contracts)
    assert set(re.findall(r"`(.+?)`", listed)) == set(allowed)


def test_the_table_has_no_way_round():
    rooms = table()
    while bottom := [room for room, allowed in rooms.items() if not allowed & set(rooms)]:
        rooms = {room: allowed for room, allowed in rooms.items() if room not in bottom}
    assert not rooms


def test_what_the_contracts_refuse_is_what_the_table_does_not_allow(copy):
    rooms = table()
    for room in rooms:
        plant(copy, room, *(f"allocsearch.{other}" for other in rooms if other != room))
    kept, output = lint(copy)
    assert not kept
    # The lines of the contracts on who may import a room.
    found = re.findall(r"^- allocsearch\.([\w.]+) -> allocsearch\.(\w+) \(l", output, re.MULTILINE)
    planted = [(importer.removesuffix(".planted"), imported) for importer, imported in found]
    refused = {(importer, imported) for importer, imported in planted if importer in rooms}
    pairs = itertools.permutations(rooms, 2)
    assert refused == {(room, other) for room, other in pairs if other not in rooms[room]}


@pytest.mark.parametrize(
    ("room", "name", "contract"),
    [
        ("models", "allocsearch.data.splits", "Who may import data"),
        ("report", "allocsearch.search.planted", "The report reads what a search has stored"),
        ("report", "torch", "A report is made without torch"),
        ("allocation/value", "torch", "A report is made without torch"),
    ],
)
def test_a_planted_import_is_caught(copy, room, name, contract):
    # Nothing is broken without it: see the first test.
    plant(copy, "search")
    plant(copy, room, name)
    kept, output = lint(copy)
    assert not kept
    assert [line[: len(contract)] for line in broken(output)] == [contract]


def test_a_room_that_is_not_in_the_table_is_not_overlooked(copy):
    rooms = table()
    plant(copy, "attic", *(f"allocsearch.{room}" for room in rooms))
    _, output = lint(copy)
    for room in rooms:
        assert f"- allocsearch.attic -> allocsearch.{room} (l" in output
