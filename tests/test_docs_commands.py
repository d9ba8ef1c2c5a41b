"""Every command and every Python block of README and docs runs, or is one that could be given.

A block of a page runs in a folder with a small study in the place of the quickstart. A marker
before it says otherwise: `<!-- parsed: REASON -->` has its commands read by the real command line
alone, `<!-- trained here -->` has its study trained in this process, without workers, and each
other marker belongs to the test that is named here.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
import pytest
import typer

from allocsearch.cli import app
from allocsearch.config import load
from allocsearch.data.splits import load_search_data
from allocsearch.search.evaluation import final
from allocsearch.search.hvae_trainer import HVAETrainer
from allocsearch.search.job_pool import run_jobs
from allocsearch.search.records import StudyRecord, read_run
from allocsearch.search.run import prepare
from allocsearch.search.slots import fill
from allocsearch.search.storage import open_study
from allocsearch.search.worker import work
from allocsearch.spaces import build_space

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(?:<!-- (.+?) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`(allocsearch [a-z]+[^`\n]*)`")
# The tutorial makes what other pages use.
PAGES = [
    ROOT / "docs" / "tutorial.md",
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(set((ROOT / "docs").glob("*.md")) - {ROOT / "docs" / "tutorial.md"}),
]
# Pages that other tests run from beginning to end.
OF_OTHER_TESTS = {"trainers.md": "test_trainer_docs.py"}
# A study that a page shows has to load; its data is what a Python block of the page has made.
STUDY = "study: "
TRAINED = "trained here"
MARKERS = {
    TRAINED: "tests/test_docs_commands.py",
    "main-job": ".ci/run",
    "tests": ".ci/run",
    "checks": ".ci/run",
    "ray exec": "tests/test_cluster_docs.py",
    "sbatch": "tests/test_cluster_docs.py",
}
COMMANDS = typer.main.get_command(app).commands


class Block(NamedTuple):
    """A block of a page."""

    page: str
    marker: str
    language: str
    text: str


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        if page.name not in OF_OTHER_TESTS:
            found += [Block(page.name, *parts) for parts in BLOCK.findall(page.read_text())]
    return found


def commands(text: str) -> list[list[str]]:
    """The commands of a block in words, without what is set for them in the environment."""
    found: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            one, words = words[:end], words[end + 1 :]
            while re.fullmatch(r"[A-Z_]+=.*", one[0]):
                one = one[1:]
            found.append(one)
    return found


def accept(words: list[str]) -> None:
    """Have the command line read a command, and its study, where the repository has it."""
    program, *rest = words
    if program.endswith("pip"):
        [package] = [word for word in rest[1:] if not word.startswith("-")]
        extras = re.findall(r"\[(.*)\]", package)
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert {*extras} <= {*known["optional-dependencies"]}
        assert re.match(r"\.|allocsearch", package)
    elif program == "python3":
        assert rest[:2] == ["-m", "venv"]
    else:
        assert program == "allocsearch", words
        verb, *arguments = rest
        COMMANDS[verb].make_context(verb, [*arguments])
        if verb in ("run", "theory") and (ROOT / arguments[0]).exists():
            load(ROOT / arguments[0], [value for key, value in pairwise(rest) if key == "--set"])


def train_here(study: Path, overrides: Sequence[str] = ()) -> StudyRecord:
    """Train the trials of a study in this process, where `run` would start workers for it."""
    loaded = load(study, overrides)
    folder = Path("runs") / loaded.study.name
    config = prepare(loaded, folder)
    opened = open_study(config, folder, create=True)
    fill(opened, config, build_space(config.search_space))
    work(opened, config, folder, HVAETrainer(config))
    return read_run(folder)


def test_every_block_runs(tmp_path, write_study, main_here, monkeypatch):
    def no_browser(*_: object, **__: object) -> bytes:
        raise RuntimeError("no browser is started here")

    # It takes seconds, and other tests draw with it.
    monkeypatch.setattr(go.Figure, "to_image", no_browser)
    # So do the processes of an evaluation, which are those of `tests/cli/test_evaluate.py`.
    monkeypatch.setattr(final, "run_jobs", lambda function, jobs, _: run_jobs(function, jobs, 1))
    monkeypatch.chdir(tmp_path)
    ood = [{"source": "digits", "name": "ones", "classes": [1]}]
    study = write_study(
        Path("studies") / "quickstart.toml",
        study={"name": "quickstart"},
        data={"id": {"source": "digits", "classes": [0, 2, 3, 4]}, "ood_test": ood},
        search_space={"layers": 3},
    )
    train_here(study)
    values = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.save("new.npy", values)
    done: set[tuple[str, ...]] = set()
    names = {"x": values}
    trained: list[str] = []
    for block in blocks():
        if block.marker.startswith(STUDY):
            study = Path(block.marker.removeprefix(STUDY))
            study.write_text(block.text)
            load_search_data(load(study).own_data)
        if block.marker == TRAINED:
            for words in commands(block.text):
                accept(words)
                assert words[1] == "run"
                given = [value for key, value in pairwise(words) if key == "--set"]
                record = train_here(Path(words[2]), given)
                assert len(record.complete) == record.wanted, (block.page, words)
                trained.append(record.config.study.name)
        if block.marker or block.language not in ("sh", "python"):
            continue
        if block.language == "python":
            exec(compile(block.text, block.page, "exec"), names)
            continue
        for words in commands(block.text):
            if tuple(words) in done:
                continue
            assert words[0] == "allocsearch", (block.page, words)
            ended = main_here(*words[1:])
            assert ended.code == 0, (block.page, words, ended.err)
            done.add(tuple(words))
    assert {words[1] for words in done} == {*COMMANDS} - {"worker", "dashboard"}
    assert len(names["ood"]) == len(values)
    assert trained == ["measured", "budget-32"]


@pytest.mark.parametrize(
    "block",
    [block for block in blocks() if block.marker.startswith("parsed: ")],
    ids=lambda block: block.page,
)
def test_every_other_command_could_be_given(block):
    for words in commands(block.text):
        accept(words)


def test_every_marker_belongs_to_a_test():
    extend = (ROOT / "tests" / "test_docs_extend.py").read_text()
    for block in blocks():
        # Commands in a block of another language would be overlooked.
        assert block.language in {"sh", "python", "toml", "yaml", "diff", ""}, block
        if block.language == "sh" and block.marker and not block.marker.startswith("parsed: "):
            assert block.marker in (ROOT / MARKERS[block.marker]).read_text()
        if block.language == "python" and block.marker:
            assert block.marker.startswith(("file: ", "extended")), block
            assert block.page in extend
    for page, test in OF_OTHER_TESTS.items():
        assert page in (ROOT / "tests" / test).read_text()


def test_the_checks_are_those_of_ci():
    [block] = [block for block in blocks() if block.marker == "checks"]
    of_ci = (ROOT / ".ci" / "run").read_text() + (ROOT / "README.md").read_text()
    for words in commands(block.text):
        assert words[0] in of_ci


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_within_the_text_have_real_options(page):
    for text in INLINE.findall(BLOCK.sub("", page.read_text())):
        _, verb, *rest = shlex.split(text)
        options = {name for parameter in COMMANDS[verb].params for name in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options, text
