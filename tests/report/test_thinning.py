from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest

from allocsearch.config import Objective
from allocsearch.report import page, thinning
from allocsearch.report.front import study_front
from allocsearch.report.page import render_page
from allocsearch.report.tables import trials_frame
from allocsearch.report.thinning import drawn, drawn_text, listed, sampled

OBJECTIVES = (Objective.parse("max:a"), Objective.parse("min:b"))


def frame(n: int, on_front: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    front = np.zeros(n, dtype=bool)
    front[rng.choice(n, on_front, replace=False)] = True
    return pd.DataFrame({"number": np.arange(n), "on_front": front})


@pytest.mark.parametrize("on_front", [0, 3, 1000])
def test_up_to_a_thousand_rows_are_drawn_as_they_are(on_front):
    rows = frame(1000, on_front)
    assert drawn(rows) is rows
    assert drawn_text(drawn(rows), rows, "trials") == ""


@pytest.mark.parametrize(
    ("n", "on_front", "others"), [(1001, 0, 1000), (5000, 400, 600), (5000, 2000, 250)]
)
def test_of_more_the_whole_front_and_some_others_are_drawn(n, on_front, others):
    rows = frame(n, on_front)
    shown = drawn(rows)
    assert int(shown["on_front"].sum()) == on_front
    assert int((~shown["on_front"]).sum()) == others
    assert shown["number"].is_monotonic_increasing
    text = drawn_text(shown, rows, "trials")
    assert f"Of {n - on_front:,} trials" in text
    assert f"{others:,} are drawn" in text


def test_what_is_drawn_of_the_others_is_spread_over_them():
    shown = drawn(frame(10_000, 0))
    counts, _ = np.histogram(shown["number"], bins=10, range=(0, 10_000))
    # Each tenth has 100 in the mean, with a standard deviation of 9.5.
    assert counts.min() > 60
    assert counts.max() < 140


def test_a_trial_is_sampled_with_all_its_rows_or_not_at_all():
    numbers = pd.Series(np.repeat(np.arange(1500), 2))
    kept = sampled(numbers).to_numpy().reshape(-1, 2)
    assert (kept[:, 0] == kept[:, 1]).all()
    assert kept[:, 0].sum() == 1000
    assert sampled(pd.Series([3, 3, 7])).all()


def test_the_best_trials_are_listed():
    """On nested fronts (i + j constant) the rank of each trial is known."""
    side = 40
    i, j = (each.ravel() for each in np.meshgrid(np.arange(side), np.arange(side)))
    rank = 2 * (side - 1) - (i + j)
    rows = pd.DataFrame(
        {"number": np.arange(side**2), "a": 1.0 * i, "b": -1.0 * j, "on_front": rank == 0}
    )
    rows.loc[rank == 2 * (side - 1), "a"] = np.nan
    found = listed(rows, OBJECTIVES)
    assert len(found) == 1000
    worst = rank[found["number"]].max()
    assert (rank[~rows["number"].isin(found["number"])] >= worst).all()
    assert found["number"].is_monotonic_increasing


def test_every_member_of_the_front_is_listed():
    values = np.arange(1200.0)
    rows = pd.DataFrame({"number": range(1200), "a": values, "b": values, "on_front": True})
    assert len(listed(rows, OBJECTIVES)) == 1200


@pytest.mark.parametrize("name", ["study", "replicated"])
def test_a_page_says_what_it_leaves_out(name, request, monkeypatch):
    record = request.getfixturevalue(name)
    whole, _, _ = render_page(record).partition("<script>")
    assert "at random" not in whole
    assert "non-domination rank. " not in whole
    assert "The latest" not in whole
    front = study_front(record)
    kept = len(front.members) + 2
    rows = max(kept, int(trials_frame(record, front)["on_front"].sum()))
    for module in (thinning, page):
        monkeypatch.setattr(module, "MOST", kept)
    monkeypatch.setattr(thinning, "_LEAST_OTHERS", 1)
    many = dataclasses.replace(
        record, trials=(*record.trials, *[t for t in record.trials if t.state == "failed"] * kept)
    )
    text = render_page(many)
    assert f"Of {len(many.trials):,} trials these are the {rows:,}" in text
    assert f"The latest {kept:,} of" in text
    assert "that are not on the front" in text
    shown = re.search(r'<section id="trials">.*?<tbody>(.*?)</tbody>', text, re.DOTALL)
    assert shown is not None
    assert shown[1].count("<tr") == rows
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', text, re.DOTALL)[1])
    marks = {trace["name"]: trace for trace in figures[0]["data"]}
    members = len(front.members)
    assert len(marks["front"]["customdata"]) + len(marks["recommended"]["customdata"]) == members
