"""What a reader does with a report: follows links, points, clicks, sorts, copies and prints."""

from __future__ import annotations

import pytest
from visits import WIDE, visit

from allocsearch.report.panels.report_panels import panels


@pytest.fixture(scope="module")
def opened(browser, page_of):
    with visit(browser, page_of("whole").as_uri()) as found:
        found.wait_until_drawn()
        yield found


def test_the_page_has_the_words_and_the_tables(opened, studies):
    made, _ = panels(studies["whole"])
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


def test_links_lead_to_their_sections(opened):
    page = opened.page
    for link in page.locator("nav a").all():
        link.click()
        section = page.locator(link.get_attribute("href"))
        box = section.bounding_box()
        # At the top, or as far up as the end of the page lets it.
        at_end = page.evaluate(
            "scrollY + innerHeight >= document.documentElement.scrollHeight - 1"
        )
        assert abs(box["y"]) < 2 or (at_end and box["y"] < 900), link.inner_text()


def test_pointing_at_a_mark_shows_its_allocation(opened, studies):
    page = opened.page
    plot = page.locator(".plot").first
    plot.scroll_into_view_if_needed()
    layers = plot.locator(".scatterlayer .trace")
    diamond = layers.nth(layers.count() - 1).locator(".points path").first
    box = diamond.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 - 40, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    # The text of a mark that was passed on the way may be seen before.
    recommended = page.locator(".allocation").inner_text()
    text = plot.locator(".hoverlayer .hovertext", has_text=f"{recommended} (trial ")
    text.wait_for()
    shown = text.text_content()
    assert "retention (nats)" in shown
    assert "layer 1 █" in shown


def test_a_click_on_the_legend_hides_a_trace(opened):
    page = opened.page
    plot = page.locator(".plot").first
    plot.scroll_into_view_if_needed()
    marks = plot.locator(".scatterlayer .points path")
    before = marks.count()
    entry = plot.locator(".legend .traces", has_text="dominated")
    entry.locator(".legendtoggle").click()
    page.wait_for_function(
        "([plot, before]) => plot.querySelectorAll('.scatterlayer .points path').length < before",
        arg=[plot.element_handle(), before],
    )
    dominated = page.evaluate(
        "plot => plot.data.find(trace => trace.name === 'dominated')", plot.element_handle()
    )
    assert dominated["visible"] == "legendonly"
    assert before - marks.count() == len(dominated["customdata"])


def test_a_click_on_a_heading_sorts_the_table(opened):
    page = opened.page
    table = page.locator("#trials table")
    heading = table.locator("th", has_text="retention")
    column = heading.evaluate("cell => cell.cellIndex") + 1

    def values():
        cells = table.locator(f"tbody td:nth-child({column})")
        keys = cells.evaluate_all("cells => cells.map(cell => cell.dataset.key ?? null)")
        known = [float(key) for key in keys if key is not None]
        # What has no value is last, whatever the order.
        assert keys[len(known) :] == [None] * (len(keys) - len(known))
        assert len(known) < len(keys)
        return known

    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert values() == sorted(values())
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert values() == sorted(values(), reverse=True)


def test_the_button_copies_the_command(opened):
    opened.page.get_by_role("button", name="Copy").click()
    opened.page.get_by_role("button", name="Copied").wait_for()
    copied = opened.page.evaluate("navigator.clipboard.readText()")
    assert copied == opened.page.locator("#command").inner_text()
    assert "allocsearch export " in copied


def test_print_loses_no_content(opened):
    page = opened.page
    # Plotly's hint at what a click on a legend does goes by itself.
    visible = (
        "[...document.querySelectorAll('h1, h2, h3, p, td, figcaption, .plot, img, pre')]"
        ".filter(e => e.checkVisibility() && !e.closest('details, .plotly-notifier')).length"
    )
    on_screen = page.evaluate(visible)
    page.emulate_media(media="print")
    # A sheet of A4, less its margins.
    opened.resize(718)
    try:
        assert page.evaluate(visible) == on_screen
        # What a reader could scroll to is cut off on paper.
        cut = page.evaluate(
            "[...document.querySelectorAll('.scroll, pre')].filter(e => e.checkVisibility() &&"
            " !e.closest('details') &&"
            " (e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1))"
            ".map(e => e.ariaLabel ?? e.textContent.trim().slice(0, 60))"
        )
        assert cut == []
        opened.save("report-whole-print")
    finally:
        page.emulate_media(media="screen")
        opened.resize(WIDE)


def test_nothing_was_said(opened):
    assert (opened.said, opened.asked) == ([], [])
