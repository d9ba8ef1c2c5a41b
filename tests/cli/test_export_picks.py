from __future__ import annotations

import json

import pytest

from allocsearch.report.exports.export import load_export
from allocsearch.search.records import read_run


def test_what_is_listed_can_be_exported(finished_run, main_here, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    ended = main_here("export", finished_run.folder, "--list")
    assert (ended.code, ended.err) == (0, "")
    rows = [line for line in ended.out.splitlines() if line.startswith(("knee", "best:"))]
    named = [text for row in rows for text in row.partition("  ")[0].split(", ")]
    assert "knee" in named
    # A pipe has no width: no cell is folded, whatever COLUMNS says.
    heading = next(line for line in ended.out.splitlines() if line.startswith("--pick"))
    assert heading.split()[-1] == "trial"
    assert all(row.split()[-1].isdigit() for row in rows)
    arguments = [part for text in named for part in ("--pick", text)]
    ended = main_here("export", finished_run.folder, *arguments, "--out", tmp_path / "picked")
    assert (ended.code, ended.err, len(ended.out.splitlines())) == (0, "", len(named))
    allocations = {str(trial.allocation) for trial in read_run(finished_run.folder).complete}
    for path in (tmp_path / "picked").iterdir():
        assert load_export(path).allocation in allocations


def test_one_bad_pick_writes_nothing(finished_run, main_here, tmp_path):
    picks = ("--pick", "knee", "--pick", "best:elbo", "--out", tmp_path / "picked")
    ended = main_here("export", finished_run.folder, *picks)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "'elbo' is no objective of the study" in ended.err
    assert not (tmp_path / "picked").exists()
    two = ("--pick", "knee", "--pick", "max:elbo", "--out", "-")
    assert "--out -: found 2 picks" in main_here("export", finished_run.folder, *two).err


def test_the_config_of_another_program_on_the_terminal(finished_run, main_here, tmp_path):
    ended = main_here("export", finished_run.folder, "--format", "hvae-oodd", "--out", "-")
    found = [layer["latent_features"] for layer in json.loads(ended.out)["config_stochastic"]]
    allocations = {trial.allocation.dims for trial in read_run(finished_run.folder).complete}
    assert tuple(found) in allocations
    (path := tmp_path / "own.json").write_text(ended.out)
    refused = main_here("train", path)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert refused.err.startswith(f"{path}: a config for the program hvae-oodd, ")
    assert "--format toml" in refused.err


@pytest.mark.parametrize(
    "option", [("--pick", "knee"), ("--out", "x.toml"), ("--format", "json"), ("--files",)]
)
def test_a_list_exports_nothing(finished_run, main_here, option):
    ended = main_here("export", finished_run.folder, "--list", *option)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"{option[0]}: not allowed with --list, which exports nothing\n"
