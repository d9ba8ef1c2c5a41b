from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import kendalltau

from allocsearch.allocation import Allocation
from allocsearch.config import StudyConfig
from allocsearch.report import agreement
from allocsearch.report.page import render_page
from allocsearch.report.panels.report_panels import panels
from allocsearch.report.proxy import ValidationSet, proxy_check
from allocsearch.report.proxy_text import proxy_lines, proxy_warnings, tau_text
from allocsearch.report.terminal.summary import status_lines, summary
from allocsearch.search.records import StudyRecord, TrialRecord

WIDE = [0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90]
NARROW = [0.60, 0.61, 0.62, 0.63, 0.64, 0.65, 0.66, 0.67]
REVERSED = NARROW[::-1]
EASY = [0.9991, 0.9999, 0.9993, 0.9998, 0.9995, 0.9996, 0.9992, 0.9997]


@pytest.fixture(autouse=True)
def _short_bootstrap(monkeypatch):
    # The intervals themselves are tested in test_agreement.py.
    monkeypatch.setattr(agreement, "_RESAMPLES", 40)


def judged(
    aurocs: Mapping[str, Sequence[float]],
    *,
    score: str = "llr_1",
    shifts: Mapping[str, float] | None = None,
    dims: Sequence[int] | None = None,
) -> StudyRecord:
    """A study of one trial for each AUROC; `shifts` says which sets are inversions of a strength.

    The allocations are told apart by `dims`, the width of the lowest layer.
    """
    sets = [
        {"shift": "inversion", "name": name, "strength": (shifts or {})[name]}
        if name in (shifts or {})
        else {"source": "digits", "name": name, "classes": [9]}
        for name in aurocs
    ]
    config = StudyConfig.model_validate(
        {
            "study": {"name": "given", "objectives": ["max:retention"], "trials": 8},
            "search_space": {"budget": 40},
            "data": {"id": "digits", "ood_validation": sets, "ood_test": ["MNIST"]},
            "evaluation": {"score": score},
        }
    )
    count = len(next(iter(aurocs.values()))) if aurocs else 8
    trials = tuple(
        TrialRecord(
            i,
            "complete",
            Allocation((low, 36 - low, 4)),
            seed=i,
            values=(float(i),),
            metrics={f"auroc.{name}.llr_1": v[i] for name, v in aurocs.items()},
            duration=1.0,
        )
        for i, low in zip(range(count), dims or range(4, 4 + count), strict=True)
    )
    return StudyRecord(Path("runs") / "given", config, trials)


def by_name(record: StudyRecord) -> dict[str, ValidationSet]:
    check = proxy_check(record)
    assert check is not None
    return {entry.name: entry for entry in check.sets}


def warnings_of(record: StudyRecord) -> tuple[str, ...]:
    check = proxy_check(record)
    assert check is not None
    return proxy_warnings(check)


def test_taus_are_those_of_the_means_over_the_trials_of_each_allocation():
    values = np.random.default_rng(2).uniform(0.5, 0.95, (3, 10))
    dims = [4, 5, 6, 7, 8, 9, 10, 4, 5, 5]
    check = proxy_check(judged(dict(zip("abc", values.tolist(), strict=True)), dims=dims))
    assert check is not None
    assert [a.dims[0] for a in check.allocations] == [4, 5, 6, 7, 8, 9, 10]
    means = np.array([[row[np.equal(dims, d)].mean() for d in range(4, 11)] for row in values])
    assert list(check.agreements) == [("a", "b"), ("a", "c"), ("b", "c")]
    for (first, second), found in check.agreements.items():
        i, j = "abc".index(first), "abc".index(second)
        assert found is not None
        assert found.n == 7
        assert found.tau == pytest.approx(kendalltau(means[i], means[j]).statistic)
    for i, entry in enumerate(check.sets):
        assert entry.aurocs == pytest.approx(means[i])
        assert entry.others is not None
        others = np.delete(means, i, axis=0).mean(0)
        assert entry.others.tau == pytest.approx(kendalltau(means[i], others).statistic)


def test_only_the_order_of_a_set_counts():
    values = np.random.default_rng(5).uniform(0.5, 0.95, (2, 9))
    plain = proxy_check(judged({"a": values[0].tolist(), "b": values[1].tolist()}))
    bent = proxy_check(judged({"a": (values[0] ** 3).tolist(), "b": values[1].tolist()}))
    assert plain is not None
    assert bent is not None
    assert plain.agreements == bent.agreements


def test_a_set_that_reverses_the_others_contradicts_them():
    record = judged({"a": WIDE, "b": WIDE, "odd": REVERSED})
    assert [entry.contradicts for entry in by_name(record).values()] == [False, False, True]
    (warning,) = warnings_of(record)
    assert warning.startswith("OOD validation set odd contradicts the others")
    assert "-1.00 (-1.00 to -1.00)" in warning
    assert "Drop it" in warning


def test_of_two_sets_that_contradict_each_other_neither_is_blamed():
    (warning,) = warnings_of(judged({"a": WIDE, "b": REVERSED}))
    assert warning.startswith("OOD validation sets a and b contradict each other")


def test_sets_that_agree_or_have_no_clear_order_give_no_warning():
    unclear = [0.70, 0.62, 0.66, 0.61, 0.68, 0.60, 0.69, 0.63]
    record = judged({"a": WIDE, "b": unclear})
    assert warnings_of(record) == ()
    found = by_name(record)["b"].others
    assert found is not None
    assert found.tau < 0 < found.high
    assert warnings_of(judged({"a": WIDE, "b": NARROW})) == ()


def test_half_of_the_allocations_do_not_saturate_a_set_but_one_more_does():
    half, more = [0.995] * 4 + [0.9] * 4, [0.995] * 5 + [0.9] * 3
    assert ValidationSet("x", None, tuple(half)).saturated is None
    assert ValidationSet("x", None, tuple(more)).saturated == "high"
    assert ValidationSet("x", None, tuple(1 - v for v in more)).saturated == "low"
    # What separates the allocations as widely as can be tells them apart.
    assert ValidationSet("x", None, (0.995,) * 4 + (0.001,) * 4).saturated is None
    assert ValidationSet("x", None, (0.99,) * 8).saturated is None


def test_a_saturated_set_is_told_with_what_to_do():
    low = [1 - value for value in EASY]
    record = judged(
        {"real": EASY, "shifted": EASY, "never": low, "b": WIDE}, shifts={"shifted": 0.75}
    )
    real, shifted, never = warnings_of(record)
    assert "real is saturated: AUROC above 0.99 for 8 of 8 allocations" in real
    assert real.endswith("Replace it by a harder one.")
    assert shifted.endswith("Replace it by a harder one or lower its strength, which is 0.75.")
    assert "never is saturated: AUROC below 0.01 for 8 of 8 allocations" in never
    assert never.endswith("Replace it, or name another score than llr_1.")


def test_a_saturated_set_neither_contradicts_nor_is_evidence():
    with_it = by_name(judged({"a": WIDE, "easy": sorted(EASY, reverse=True), "b": NARROW}))
    without = by_name(judged({"a": WIDE, "b": NARROW}))
    assert with_it["easy"].others is None
    assert (with_it["a"].others, with_it["b"].others) == (without["a"].others, without["b"].others)
    assert by_name(judged({"a": WIDE, "easy": EASY}))["a"].others is None


def test_equal_aurocs_have_no_order():
    record = judged({"a": WIDE, "one": [1.0] * 8})
    check = proxy_check(record)
    assert check is not None
    assert check.agreements == {("a", "one"): None}
    assert tau_text(None) == "–"  # noqa: RUF001
    assert "  a, one  no tau: all AUROCs of one are equal" in proxy_lines(record)
    assert len(panels(record)[0]) >= 2


def test_auto_compares_by_the_score_chosen_most_often():
    record = judged({"a": WIDE, "b": NARROW}, score="auto")
    chosen = ["kl_1", "llr_1", "llr_1", "kl_2", "kl_1", "llr_1", None, "kl_2"]
    trials = tuple(
        dataclasses.replace(trial, score=score, metrics={**trial.metrics, "auroc.a.kl_1": 0.5})
        for trial, score in zip(record.trials, chosen, strict=True)
    )
    check = proxy_check(dataclasses.replace(record, trials=trials))
    assert check is not None
    assert (check.score, check.chosen_by) == ("llr_1", (3, 7))
    assert [entry.aurocs for entry in check.sets] == [tuple(WIDE), tuple(NARROW)]
    assert proxy_check(record) is None


def test_trials_without_the_score_are_left_out():
    record = judged({"a": WIDE, "b": NARROW})
    first, second, *rest = record.trials
    odd = dataclasses.replace(first, metrics={"auroc.a.llr_1": 0.9})
    failed = dataclasses.replace(second, state="failed")
    check = proxy_check(dataclasses.replace(record, trials=(odd, failed, *rest)))
    assert check is not None
    assert check.allocations == tuple(trial.allocation for trial in rest)
    few = dataclasses.replace(record, trials=(odd, failed, *rest[:4]))
    assert proxy_check(few) is None


def test_test_sets_do_not_matter():
    record = judged({"a": WIDE, "b": NARROW})
    trials = tuple(
        dataclasses.replace(trial, metrics={**trial.metrics, "auroc.MNIST.llr_1": value})
        for trial, value in zip(record.trials, REVERSED, strict=True)
    )
    poisoned = dataclasses.replace(record, trials=trials)
    assert proxy_check(poisoned) == proxy_check(record)
    assert not any("MNIST" in line for line in status_lines(poisoned))


def printed(record: StudyRecord) -> list[str]:
    console = Console(file=io.StringIO(), width=100)
    console.print(summary(record), soft_wrap=True)
    return console.file.getvalue().splitlines()


def test_terminal_shows_spreads_taus_and_warnings():
    record = judged({"a": WIDE, "b": WIDE, "odd": REVERSED})
    lines = proxy_lines(record)
    assert status_lines(record)[-len(lines) :] == lines
    assert lines[0].startswith("OOD validation sets over 8 allocations, by llr_1; Kendall's tau")
    assert lines[1] == "  a  AUROC 0.550 to 0.900, median 0.725"
    assert lines[4:7] == (
        "  a, b  tau 1.00 (1.00 to 1.00)",
        "  a, odd  tau -1.00 (-1.00 to -1.00)",
        "  b, odd  tau -1.00 (-1.00 to -1.00)",
    )
    warnings = tuple(f"Warning: {text}" for text in warnings_of(record))
    assert len(warnings) == 1
    assert lines[7:] == warnings
    assert tuple(x for x in printed(record) if x.startswith("Warning")) == warnings
    assert not any("Warning" in x for x in printed(judged({"a": WIDE, "b": WIDE})))


def test_one_set_is_compared_with_none_but_can_be_saturated():
    assert proxy_lines(judged({"a": WIDE})) == ()
    assert proxy_lines(judged({"a": EASY[:4]})) == ()
    (line,) = proxy_lines(judged({"a": EASY}))
    assert line.startswith("Warning: OOD validation set a is saturated")
    made, omitted = panels(judged({"a": EASY}))
    assert not any(panel.section == "validation" for panel in made)
    assert "Agreement of the OOD validation sets: it takes two sets." in omitted
    assert any("a is saturated" in sentence for sentence in omitted)


def test_too_few_allocations_are_said_to_be_too_few():
    record = judged({"a": WIDE[:4], "b": NARROW[:4]})
    (line,) = proxy_lines(record)
    assert "it takes 5 allocations" in line
    made, omitted = panels(record)
    assert not any(panel.section == "validation" for panel in made)
    assert line in omitted


def test_a_study_without_ood_sets_says_nothing_of_their_agreement():
    record = judged({})
    assert proxy_check(record) is None
    assert proxy_lines(record) == ()
    assert not any("Agreement" in sentence for sentence in panels(record)[1])


def test_panels_hold_the_numbers():
    values = np.random.default_rng(3).uniform(0.5, 0.95, (3, 8)).tolist()
    record = judged(dict(zip("abc", values, strict=True)))
    check = proxy_check(record)
    assert check is not None
    matrix, strips = (panel for panel in panels(record)[0] if panel.section == "validation")
    z = np.array(matrix.figure.data[0].z)
    for i, first in enumerate("abc"):
        for j, second in enumerate("abc"):
            found = check.agreements.get((first, second)) or check.agreements.get((second, first))
            assert np.isnan(z[i, j]) if found is None else z[i, j] == found.tau
    assert np.isnan(np.diag(z)).all()
    assert len(matrix.figure.layout.annotations) == 6
    assert matrix.data is not None
    assert [row[0] for row in matrix.data.rows] == ["a, b", "a, c", "b, c"]
    assert [list(trace.x) for trace in strips.figure.data] == values
    assert strips.data is not None
    for row, column in zip(strips.data.rows, values, strict=True):
        assert row[1:4] == (
            f"{min(column):.3f}",
            f"{np.median(column):.3f}",
            f"{max(column):.3f}",
        )


def test_page_warns_beside_the_recommendation_and_in_its_section():
    text = render_page(judged({"a": WIDE, "b": EASY}, shifts={"b": 1.0}))
    assert text.count('<a href="#validation">') == 2
    assert "come with a warning" in text
    assert '<section id="validation">' in text
    assert "<li>OOD validation set b is saturated" in text
    calm = render_page(judged({"a": WIDE, "b": NARROW}))
    assert calm.count('<a href="#validation">') == 1
    assert '<ul class="warnings">' not in calm
    assert "Left out" in calm
    assert 'href="#validation"' not in render_page(judged({"a": WIDE}))
