"""Figures in words and in numbers."""

from __future__ import annotations

import pytest

from allocsearch.report.panels.report_panels import panels


@pytest.mark.parametrize("name", ["whole", "one-objective", "no-ood"])
def test_every_figure_is_told_in_words_and_numbers(name, studies, page_of):
    made, _ = panels(studies[name])
    assert made
    for panel in made:
        assert len(panel.description) > 30, panel.title
        if panel.data is not None:
            assert panel.data.rows, panel.title
            assert {len(row) for row in panel.data.rows} == {len(panel.data.header)}, panel.title
            continue
        # Its numbers are in another table, and it says in which.
        beside = [p for p in made if p.section == panel.section and p is not panel and p.data]
        if beside and panel.section == "cost":
            assert "A table with the numbers is beside the other figure." in panel.description
        else:
            assert "The table of all trials has the numbers." in panel.description, panel.title
