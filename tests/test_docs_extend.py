"""The examples of the pages on extending the package fit the package, and run in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ["add_data_set.md", "add_score.md", "add_likelihood.md", "add_space.md"]
BLOCK = re.compile(r"(?:<!-- (.+?) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
FILE, STUDY, PYTHON = "file: ", "extended study: ", "extended"


TRAINING = """
import json
from pathlib import Path

from allocsearch.config import load
from allocsearch.data.splits import load_search_data
from allocsearch.search.hvae_trainer import HVAETrainer
from allocsearch.search.records import read_run
from allocsearch.search.run import prepare
from allocsearch.search.slots import fill
from allocsearch.search.storage import open_study
from allocsearch.search.worker import work
from allocsearch.spaces import build_space

data = load_search_data(load(Path("iris.toml")).own_data)
assert (data.train.shape, data.train.continuous) == ((4,), True)
folder = Path("runs") / "extended"
config = prepare(load(Path("extended.toml")), folder)
opened = open_study(config, folder, create=True)
fill(opened, config, build_space(config.search_space))
work(opened, config, folder, HVAETrainer(config))
found = []
for trial in read_run(folder).complete:
    metrics = trial.metrics
    one = (metrics["auroc"], metrics["auroc.inversion.kl_sum"])
    found.append([list(trial.allocation.dims), list(metrics), *one])
print(json.dumps(found))
"""


def extended(folder: Path) -> str:
    """Extend a copy of the package as the pages say; what it has to run then."""
    # With what is compiled: it is compiled anew where it changes.
    shutil.copytree(ROOT / "allocsearch", folder / "allocsearch")
    python = ""
    for page in PAGES:
        for marker, language, text in BLOCK.findall((ROOT / "docs" / page).read_text()):
            if marker.startswith(FILE):
                (folder / marker.removeprefix(FILE)).write_text(text)
            elif marker.startswith(STUDY):
                (folder / marker.removeprefix(STUDY)).write_text(text)
            elif marker == PYTHON:
                python += text
            elif language == "diff":
                # Not the repository that the tests may lie in.
                apply = ["git", "apply", "--verbose", "-"]
                done = subprocess.run(
                    apply,
                    input=text,
                    cwd=folder,
                    env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, (page, done.stderr)
    return python


def test_every_example_runs(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("no git here, which applies the changes of the pages")
    python = extended(tmp_path)
    (tmp_path / "examples.py").write_text(python + TRAINING)
    done = subprocess.run(
        [sys.executable, "examples.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    trials = json.loads(done.stdout)
    assert len(trials) == 2
    for dims, names, auroc, of_score in trials:
        assert dims == sorted(dims, reverse=True)
        assert sum(dims) == 12
        assert "bits_per_dim" in names
        assert auroc == of_score
