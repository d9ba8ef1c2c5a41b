"""`allocsearch score` on real files, from a detector that `allocsearch train` wrote."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from allocsearch.data.digits import read_digits
from allocsearch.search.detectors.detector import Detector


@pytest.fixture(scope="module")
def folder(finished_run, tmp_path_factory, command):
    """A detector, made by the real command."""
    here = tmp_path_factory.mktemp("detector")
    assert command("export", finished_run.folder, "--out", "best.toml", cwd=here).code == 0
    ended = command("train", "best.toml", "--out", "best", cwd=here)
    assert (ended.code, ended.err) == (0, "")
    card = Detector.load(here / "best").card
    assert ended.out.splitlines()[-2:] == [card.summary, "best"]
    return here / "best"


@pytest.fixture(scope="module")
def detector(folder):
    return Detector.load(folder)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


DIGITS = read_digits()[0].numpy()


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def check(found, detector, values, keys, fpr=0.05):
    """The rows of a table are the scores and decisions that the Python API gives."""
    scores = detector.score(values)
    assert [row[next(iter(row))] for row in found] == [str(key) for key in keys]
    np.testing.assert_allclose([float(row["score"]) for row in found], scores, rtol=1e-4)
    threshold = np.float32(detector.threshold(fpr))
    told = [row["ood"] == "true" for row in found]
    assert told == [float(row["score"]) > threshold for row in found]


def test_a_named_set_with_the_real_command(folder, detector, command, tmp_path):
    ended = command("score", folder, "--data", "digits", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    found = rows(tmp_path / "scores.csv")
    assert list(found[0]) == ["index", "score", "ood"]
    check(found, detector, DIGITS, range(1797))
    flagged = sum(row["ood"] == "true" for row in found)
    said, path = ended.out.splitlines()
    assert said.startswith(f"1,797 examples, {flagged} OOD ({flagged / 1797:.2%}): ")
    assert f"{detector.card.score} above {detector.threshold():.6g}" in said
    assert path == "scores.csv"
    # Nothing but the table is left.
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]


@pytest.mark.parametrize("size", [1, 64, 10_000])
def test_numpy_files(folder, detector, main_here, here, size):
    values = DIGITS[:100]
    np.save("x.npy", values)
    np.savez_compressed("x.npz", first=values, second=values[:3] / 255)
    np.save("f.npy", np.asfortranarray(values))
    common = ("--out", "t.csv", "--batch-size", size, "--fpr", 0.2)
    for data in (("x.npy",), ("x.npz:first",), ("x.npz", "--array", "first"), ("f.npy",)):
        assert main_here("score", folder, "--data", *data, *common).code == 0
        check(rows(here / "t.csv"), detector, values, range(100), 0.2)
    main_here("score", folder, "--data", "x.npz:second", *common)
    check(rows(here / "t.csv"), detector, values[:3], range(3), 0.2)


def test_a_folder_of_images(folder, detector, main_here, here):
    names = [f"{i % 3}/{i:02}.png" for i in range(20)]
    for name, image in zip(names, DIGITS, strict=False):
        (here / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(here / "x" / name)
    assert main_here("score", folder, "--data", "x", "--out", "t.csv").code == 0
    found = rows(here / "t.csv")
    assert list(found[0]) == ["file", "score", "ood"]
    check(found, detector, DIGITS[sorted(range(20), key=lambda i: names[i])], sorted(names))
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(here / "x" / "2" / "large.png")
    ended = main_here("score", folder, "--data", "x", "--out", "u.csv")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "found examples of shape (3, 9, 9)" in ended.err
    assert "of shape (n, 8, 8)" in ended.err
    assert "--resize" in ended.err
    assert sorted(p.name for p in here.iterdir()) == ["t.csv", "x"]
    assert main_here("score", folder, "--data", "x", "--out", "u.csv", "--resize").code == 0
    assert [row["file"] for row in rows(here / "u.csv")] == sorted([*names, "2/large.png"])


def test_the_terminal_gets_the_table_alone(folder, detector, main_here, here):
    np.save("x.npy", DIGITS[:5])
    ended = main_here("score", folder, "--data", "x.npy", "--out", "-")
    assert ended.code == 0
    check(list(csv.DictReader(ended.out.splitlines())), detector, DIGITS[:5], range(5))
    assert ended.err.startswith("5 examples, ")


def test_parquet_holds_what_csv_does(folder, main_here, here):
    for name in ("t.csv", "t.parquet"):
        arguments = ("--data", "digits", "--out", name, "--batch-size", 100)
        assert main_here("score", folder, *arguments).code == 0
    table = pd.read_parquet("t.parquet")
    assert [str(kind) for kind in table.dtypes] == ["int64", "float32", "bool"]
    expected = pd.read_csv("t.csv").astype({"score": "float32"})
    pd.testing.assert_frame_equal(table, expected)


def test_parquet_without_pyarrow(folder, main_here, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ended = main_here("score", folder, "--data", "digits", "--out", "t.parquet")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "Parquet needs pyarrow (pip install pyarrow)" in ended.err


def test_an_old_table_stays_when_scoring_fails(folder, main_here, here):
    values = DIGITS[:50] / 255
    values[49] = 7
    np.save("x.npy", values)
    (here / "t.csv").write_text("old")
    ended = main_here("score", folder, "--data", "x.npy", "--out", "t.csv", "--batch-size", 1)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "x.npy, examples 0 to 49: found floats from 0 to 7" in ended.err
    assert (here / "t.csv").read_text() == "old"
    assert sorted(p.name for p in here.iterdir()) == ["t.csv", "x.npy"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "nothing.npy"), "nothing.npy: no such file or folder"),
        (("--data", "wine"), "the detector takes uint8, or floats in [0, 1], of shape (n, 8, 8)"),
        (("--data", "digits", "--fpr", "0.001"), "fpr: found 0.001; allowed: from 0.015"),
        (("--data", "digits", "--fpr", "much"), "--fpr"),
        (("--data", "digits", "--out", "t.txt"), "found .txt; allowed: .csv, .parquet, or -"),
        (("--data", "digits", "--out", "."), "found no ending"),
        (("--data", "digits", "--split", "test"), "which has no official parts"),
        ((), "Missing option '--data'"),
    ],
)
def test_bad_input_is_one_line(folder, main_here, here, arguments, message):
    ended = main_here("score", folder, *arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert message in ended.err
    assert list(here.iterdir()) == []


def test_no_detector(main_here, here):
    ended = main_here("score", here, "--data", "digits")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "not a detector (no detector.json in it); make one: allocsearch train" in ended.err
