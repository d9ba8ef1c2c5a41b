"""Reports by the rules of axe-core, and figures in words and in numbers."""

from __future__ import annotations

import pytest
from visits import visit

from allocsearch.report.panels.trial_panels import panels

axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright",
    reason="needs axe-playwright-python (pip install -e '.[test]')",
)


@pytest.mark.parametrize("name", ["whole", "empty", "failed"])
def test_axe_finds_nothing_serious(name, browser, page_of):
    with visit(browser, page_of(name).as_uri()) as opened:
        opened.wait_until_drawn()
        # What is folded is read, too.
        opened.page.evaluate(
            "for (const each of document.querySelectorAll('details')) each.open = true"
        )
        for scheme in ("light", "dark"):
            opened.look(scheme)
            found = axe.Axe().run(opened.page).response
            assert len(found["passes"]) > 10
            serious = [
                (each["id"], each["nodes"][0]["html"], len(each["nodes"]))
                for each in found["violations"]
                if each["impact"] in ("serious", "critical")
            ]
            assert serious == [], scheme


def test_axe_finds_what_is_wrong(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<title>t</title><p style='color: #ccc'>pale</p><img src='data:,'>")
    with visit(browser, page.as_uri()) as opened:
        found = axe.Axe().run(opened.page).response["violations"]
    assert {"color-contrast", "image-alt", "html-has-lang"} <= {each["id"] for each in found}


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


def test_the_page_has_the_words_and_the_tables(browser, page_of, studies):
    made, _ = panels(studies["whole"])
    with visit(browser, page_of("whole").as_uri()) as opened:
        figures = opened.page.evaluate(
            "[...document.querySelectorAll('figure:has(.plot)')].map(figure => ({"
            "label: figure.querySelector('.plot').ariaLabel,"
            "rows: figure.querySelectorAll('details tbody tr').length}))"
        )
        pictures = opened.page.evaluate(
            "[...document.querySelectorAll('figure:has(img)')].map(figure => ({"
            "label: figure.querySelector('img').alt,"
            "rows: figure.querySelectorAll('details tbody tr').length}))"
        )
    found = [(each["label"], each["rows"]) for each in figures]
    wanted = [(p.description, len(p.data.rows) if p.data else 0) for p in made]
    assert sorted(found) == sorted(wanted)
    assert pictures
    assert all(each["label"] and each["rows"] for each in pictures)
