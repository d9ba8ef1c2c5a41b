"""Every block of docs/trainers.md runs, and so do the studies that it names."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from allocsearch.config import PLACEHOLDERS
from allocsearch.search.records import read_run

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "trainers.md").read_text()
BLOCKS = re.findall(r"(?:<!-- file: (\S+) -->\n)?```(\w*)\n(.*?)```", TEXT, re.DOTALL)


def test_every_block_runs(tmp_path, main_here, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    files = {name: content for name, _, content in BLOCKS if name}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    commands = [line for name, _, content in BLOCKS if not name for line in content.splitlines()]
    assert len(files) == 5
    assert len(commands) == 4
    for line in commands:
        program, *arguments = line.split()
        assert program == "allocsearch"
        ended = main_here(*arguments)
        assert ended.code == 0, ended.err
    for name in ("own-function", "own-program"):
        record = read_run(tmp_path / "runs" / name)
        assert len(record.complete) == 6
        assert {*record.complete[0].metrics} == {"quality", "depth"}
    assert "All 2 metrics equal the exported ones exactly." in ended.out
    measured = subprocess.run(
        [sys.executable, "measured.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert measured.returncode == 0, measured.stderr
    found = ast.literal_eval(measured.stdout)
    # The closed forms are 4 and 2 dims of 1/2 log(1 + 1 / 0.25), and 2 of 1/2 log(1.5 / 0.5).
    assert found["retention"] == pytest.approx(3.2, abs=0.4)
    assert found["attenuation"] == pytest.approx(1 - 1.1 / 3.2, abs=0.12)
    assert found["auroc"] > 0.6


def test_every_placeholder_is_explained():
    rows = re.findall(r"^\| `\{(\w+)\}` \|", TEXT, re.MULTILINE)
    assert sorted(rows) == sorted(PLACEHOLDERS)
    study = (ROOT / "studies" / "command.toml").read_text()
    assert sorted(re.findall(r"^#   \{(\w+)\}", study, re.MULTILINE)) == sorted(PLACEHOLDERS)


@pytest.mark.parametrize("name", ["callable", "command"])
def test_the_studies_run_as_they_say(name, tmp_path, main_here, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)
    line = re.search(
        rf"^#   allocsearch (run studies/{name}.toml.*)$",
        (ROOT / "studies" / f"{name}.toml").read_text(),
        re.MULTILINE,
    )
    short = ("--set", "study.trials=3", "--set", "training.epochs=5")
    arguments = [*line[1].split(), *short, "--runs", tmp_path]
    ended = main_here(*arguments)
    assert ended.code == 0, ended.err
    record = read_run(tmp_path / name)
    assert [trial.state for trial in record.trials] == ["complete"] * 3
    assert len({trial.values for trial in record.complete}) == 3
    if name == "callable":
        metrics = record.complete[0].metrics
        assert 0 < metrics["information_lower_1"] <= metrics["retention"] <= metrics["rate"]
        assert 0 <= metrics["attenuation"] <= 1
        assert {"auroc_low", "auroc.other_digits.llr_2", "rate_3"} <= set(metrics)
