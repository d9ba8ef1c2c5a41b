"""Reports of many kinds of studies as a browser shows them, wide and narrow, light and dark.

What axe-core has to say of them is asked of the same open pages.
"""

from __future__ import annotations

import pytest
from visits import NARROW, WIDE, Visit, visit

NO_AXE = "needs axe-playwright-python (pip install -e '.[test]')"
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


@pytest.fixture(scope="module")
def shown(request, browser, page_of):
    """The name of a report, and the open page, wide and light."""
    with visit(browser, page_of(request.param).as_uri()) as opened:
        yield request.param, opened


# The page of very many trials has the parts of the others; to judge its rows takes minutes.
@pytest.mark.parametrize("shown", [name for name in SECTIONS if name != "many"], indirect=True)
def test_axe_finds_nothing_serious(shown):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=NO_AXE)
    name, opened = shown
    opened.wait_until_drawn()
    unfold = "open => document.querySelectorAll('details').forEach(each => each.open = open)"
    # What is folded is read, too.
    opened.page.evaluate(unfold, True)
    try:
        # The colours of one page are those of all.
        for scheme in ("light", "dark") if name == "whole" else ("light",):
            opened.look(scheme)
            found = axe.Axe().run(opened.page).response
            assert len(found["passes"]) > 10
            serious = [
                (each["id"], each["nodes"][0]["html"], len(each["nodes"]))
                for each in found["violations"]
                if each["impact"] in ("serious", "critical")
            ]
            assert serious == [], scheme
    finally:
        opened.page.evaluate(unfold, False)


@pytest.mark.parametrize("shown", SECTIONS, indirect=True)
def test_the_report_is_complete_silent_and_legible(shown, browser, page_of):
    name, opened = shown
    opened.look("light")
    found = problems(opened, name, WIDE, "light")
    if name not in _IN_ALL_WAYS:
        opened.resize(NARROW)
        opened.look("dark")
        check_completeness(name, opened)
        assert found + problems(opened, name, NARROW, "dark") == []
        return
    opened.look("dark")
    found += problems(opened, name, WIDE, "dark")
    check_completeness(name, opened)
    with visit(browser, page_of(name).as_uri(), NARROW, "dark") as narrow:
        narrow.wait_until_drawn()
        found += problems(narrow, name, NARROW, "dark")
        narrow.look("light")
        found += problems(narrow, name, NARROW, "light")
        check_completeness(name, narrow)
    assert found == []


def check_completeness(name: str, opened: Visit) -> None:
    """All sections and links, no empty figure, and nothing said or asked for."""
    assert set(sections(opened)) == SECTIONS[name]
    assert {*linked(opened)} == SECTIONS[name] - {"recommended", "omitted"}
    assert empty_plots(opened) == []
    assert (opened.said, opened.asked) == ([], [])


def test_axe_finds_what_is_wrong(browser, tmp_path):
    # What the first test rests on.
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=NO_AXE)
    page = tmp_path / "page.html"
    page.write_text("<title>t</title><p style='color: #ccc'>pale</p><img src='data:,'>")
    with visit(browser, page.as_uri()) as opened:
        found = axe.Axe().run(opened.page).response["violations"]
    assert {"color-contrast", "image-alt", "html-has-lang"} <= {each["id"] for each in found}


def test_what_is_not_legible_or_not_silent_is_found(browser, tmp_path):
    # What the second test rests on.
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
        assert any("Failed to load resource" in text for text in opened.said)
        assert opened.asked == ["http://localhost:9/seen"]
