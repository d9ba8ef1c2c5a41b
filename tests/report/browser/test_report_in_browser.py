"""Reports of many kinds of studies as a browser shows them, wide and narrow, light and dark."""

from __future__ import annotations

import pytest
from visits import NARROW, WIDE, Visit, visit

_ALWAYS = ("recommended", "environment", "config")
_WITH_TRIALS = ("front", "ratio", "layers", "cost", "trials")
SECTIONS = {
    "whole": {
        *(*_ALWAYS, *_WITH_TRIALS, "splits", "validation", "detection", "reconstructions"),
        *("training", "importance", "rungs", "evaluation", "failures"),
    },
    "run": {
        *(*_ALWAYS, *_WITH_TRIALS, "detection", "reconstructions", "training", "omitted"),
    },
    "empty": {*_ALWAYS, "omitted"},
    "failed": {*_ALWAYS, "omitted", "trials", "failures"},
    "one-objective": {*_ALWAYS, *_WITH_TRIALS, "omitted", "validation", "failures"},
    "no-ood": {*_ALWAYS, *_WITH_TRIALS, "omitted", "splits"},
    "many": {
        *(*_ALWAYS, *_WITH_TRIALS, "splits", "validation", "importance"),
        *("omitted", "failures"),
    },
}


# Drawing costs most: the other pages are opened once, and then made narrow and dark at once.
_IN_ALL_WAYS = ("whole", "empty", "failed")


def problems(opened: Visit, name: str, width: int, scheme: str) -> list[object]:
    """What is wrong with how a page looks as it stands."""
    opened.save(f"report-{name}-{width}-{scheme}")
    found = opened.layout()
    wrong = [*found["overlapping"], *(["cut off", text] for text in found["cut"])]
    if found["wider"]:
        wrong.append((f"wider than the window by {found['wider']}", *found["out"]))
    if found["texts"] < 10:
        wrong.append(f"{found['texts']} texts")
    return [(width, scheme, each) for each in wrong]


def sections(opened: Visit) -> list[str]:
    return opened.page.evaluate("[...document.querySelectorAll('section')].map(s => s.id)")


def linked(opened: Visit) -> list[str]:
    links = opened.page.evaluate("[...document.querySelectorAll('nav a')].map(a => a.hash)")
    return [link.removeprefix("#") for link in links]


def empty_plots(opened: Visit) -> list[str]:
    """Figures without marks, bars, lines, cells or a drawing of WebGL."""
    return opened.page.evaluate(
        "[...document.querySelectorAll('.plot')].filter(plot => !plot.querySelector("
        "'.point, .points path, .js-line, .fills path, .hm image, .gl-container canvas'))"
        ".map(plot => plot.ariaLabel)"
    )


@pytest.mark.parametrize("name", SECTIONS)
def test_the_report_is_complete_silent_and_legible(name, browser, page_of):
    address = page_of(name).as_uri()
    found, said = [], []
    starts = [(WIDE, "light", "dark"), (NARROW, "dark", "light")]
    for width, first, second in starts if name in _IN_ALL_WAYS else starts[:1]:
        with visit(browser, address, width, first) as opened:
            opened.wait_until_drawn()
            found += problems(opened, name, width, first)
            if name not in _IN_ALL_WAYS:
                opened.resize(width := NARROW)
            opened.look(second)
            found += problems(opened, name, width, second)
            assert set(sections(opened)) == SECTIONS[name]
            assert {*linked(opened)} == SECTIONS[name] - {"recommended", "omitted"}
            assert empty_plots(opened) == []
            said += [*opened.said, *opened.asked]
    assert (found, said) == ([], [])


def test_what_is_not_legible_or_not_silent_is_found(browser, tmp_path):
    # What the test above rests on.
    page = tmp_path / "page.html"
    page.write_text(
        "<body style='margin: 0'><p style='margin: 0'>one line</p>"
        "<p style='position: absolute; margin: 0; top: 8px'>another</p>"
        "<p style='width: 3000px; text-align: right'>far right</p>"
        "<div style='overflow: hidden; height: 1em'>kept<br>hidden</div>"
        "<p style='visibility: hidden; position: absolute; top: 8px'>not seen</p>"
        "<figure><h3>Figure</h3><div class='plot' style='width: 200px; height: 200px'>"
        "<svg width='200' height='200' style='overflow: visible'>"
        # Only their upright boxes overlap.
        "<text transform='translate(20 150) rotate(-45)'>turned, quite long</text>"
        "<text transform='translate(50 160) rotate(-45)'>turned, quite long</text>"
        "<text x='150' y='20'>beyond the edge</text></svg></div></figure>"
        "<script>console.warn('heard'); fetch('http://localhost:9/seen').catch(() => {});"
        "undefined_name</script>"
    )
    with visit(browser, page.as_uri()) as opened:
        found = opened.layout()
        assert sorted(map(sorted, found["overlapping"])) == [["another", "one line"]]
        assert found["cut"] == ["Figure: beyond the edge"]
        assert (found["wider"], found["out"]) == (3000 - WIDE, ["far right"])
        assert any(text == "warning: heard" for text in opened.said)
        assert any("undefined_name" in text for text in opened.said)
        assert opened.asked == ["http://localhost:9/seen"]
