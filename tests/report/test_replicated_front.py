from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from allocsearch.allocation import Allocation
from allocsearch.config import Objective
from allocsearch.report.candidate_text import probability_text, uncertainty_lines
from allocsearch.report.exports.export import export_trial, load_export
from allocsearch.report.exports.pick import pick
from allocsearch.report.figures.allocation_figures import metric_by_ratio, pareto_3d, pareto_pair
from allocsearch.report.front import Candidate, certain_members, knee, study_front
from allocsearch.report.page import render_page
from allocsearch.report.recommendation import recommendation
from allocsearch.report.tables import allocations_frame, front_frame, trials_frame
from allocsearch.report.terminal.live import live_view
from allocsearch.report.terminal.summary import status_lines, summary
from allocsearch.search.records import StudyRecord, TrialRecord
from allocsearch.search.sampling.replicates import Replicates

OBJECTIVES = tuple(map(Objective.parse, ("max:retention", "min:attenuation", "max:auroc")))


@pytest.fixture
def study_with(study_of):
    """A study of given trainings: `(allocation, values)` of each, in one or two objectives."""

    def build(*trainings: tuple[str, tuple[float, ...]]) -> StudyRecord:
        record = study_of([values for _, values in trainings])
        trials = tuple(
            dataclasses.replace(trial, allocation=Allocation.parse(text))
            for trial, (text, _) in zip(record.trials, trainings, strict=True)
        )
        return dataclasses.replace(record, trials=trials)

    return build


def test_the_luck_of_one_training_does_not_make_a_member(study_with):
    # 8-4 has the best single training, 4-8 the better mean.
    record = study_with(
        ("8-4", (9.0,)), ("8-4", (1.0,)), ("4-8", (6.0,)), ("4-8", (6.5,)), ("4-8", (7.0,))
    )
    front = study_front(record)
    assert [str(m.allocation) for m in front.members] == ["4-8"]
    assert front.members[0].mean == pytest.approx((6.5,))
    assert front.members[0].trial.number == 3
    assert front.repeated == 2


def test_probabilities_are_those_of_the_t_distribution(study_with):
    record = study_with(("8-4", (5.0,)), ("8-4", (5.6,)), ("4-8", (6.0,)), ("4-8", (6.2,)))
    front = study_front(record)
    variance = ((0.6**2) / 2 + (0.2**2) / 2) / 2
    expected = stats.t(2).cdf(0.8 / math.sqrt(2 * variance / 2))
    first, second = (candidate.probability for candidate in front.candidates)
    assert second == pytest.approx(expected, abs=0.05)
    assert first == pytest.approx(1 - second)
    half = stats.t(2).ppf(0.975) * math.sqrt(variance / 2)
    assert front.candidates[0].interval[0] == pytest.approx((5.3 - half, 5.3 + half))


def test_a_seed_that_was_trained_twice_is_no_replicate(study_with):
    record = study_with(("8-4", (5.0,)), ("8-4", (5.0,)))
    same = tuple(dataclasses.replace(trial, seed=1) for trial in record.trials)
    assert study_front(dataclasses.replace(record, trials=same)).spread is None


def test_without_replicates_nothing_is_claimed(study):
    front = study_front(study)
    assert (front.spread, front.volume, front.repeated) == (None, None, 0)
    assert all(c.probability is None and c.interval is None for c in front.candidates)
    assert certain_members(front.members) == front.members
    assert uncertainty_lines(front, OBJECTIVES) == ()
    assert export_trial(study, pick(study, "knee")).certainty is None
    assert "front_probability" not in front_frame(study)


def test_members_are_not_dominated_and_ordered(replicated):
    front = study_front(replicated)
    means = {c: np.array(c.mean) * [-1, 1, -1] for c in front.candidates}
    for candidate, mean in means.items():
        dominated = any((m <= mean).all() and (m < mean).any() for m in means.values())
        assert (candidate in front.members) is not dominated
    retentions = [member.mean[0] for member in front.members]
    assert retentions == sorted(retentions, reverse=True)
    assert 0 < front.volume.low < front.volume.value <= 1


def test_the_front_of_means_needs_no_draws(replicated):
    quick = study_front(replicated, resample=False)
    full = study_front(replicated)
    assert [m.trial for m in quick.members] == [m.trial for m in full.members]
    assert quick.volume is None
    assert all(member.probability is None for member in quick.members)


def _member(number: int, probability: float, *mean: float) -> Candidate:
    trial = TrialRecord(number, "complete", values=mean)
    return Candidate(Replicates(None, (trial,)), trial, mean, None, probability)


def test_knee_passes_over_uncertain_members():
    corner, *ends = (_member(0, 0.4, 90, 0.1), _member(1, 0.9, 100, 1), _member(2, 0.8, 0, 0))
    assert knee([corner, *ends], OBJECTIVES[:2]).trial.number in (1, 2)
    sure = dataclasses.replace(corner, probability=0.5)
    assert knee([sure, *ends], OBJECTIVES[:2]) is sure


def test_knee_of_equally_near_members_is_the_more_probable():
    members = [_member(0, 0.6, 1, 1), _member(1, 0.7, 0, 0)]
    assert knee(members, OBJECTIVES[:2]).trial.number == 1


def test_without_a_certain_member_it_is_the_most_probable():
    members = [_member(0, 0.1, 2, 1), _member(1, 0.3, 1, 0.5), _member(2, 0.2, 0, 0)]
    assert knee(members, OBJECTIVES[:2]).trial.number == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "<0.01"), (0.004, "<0.01"), (0.97, "0.97"), (0.9951, ">0.99"), (1.0, ">0.99")],
)
def test_probabilities_are_never_written_as_certainties(value, text):
    assert probability_text(value) == text


def _printed(renderable) -> list[str]:
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as capture:
        console.print(renderable, soft_wrap=True)
    return capture.get().splitlines()


def test_terminal_has_means_trainings_and_probabilities(replicated):
    front = study_front(replicated)
    lines = _printed(summary(replicated))
    assert re.sub(r" \(95 %\)", "", lines[1]).split()[-5:] == ["n", "on", "the", "front", "trial"]
    for line, member in zip(lines[2:], front.members, strict=False):
        cells = line.split()
        assert cells[0] == str(member.allocation)
        assert cells[2] == f"{member.mean[0]:.2f}"
        low, high = member.interval[0]
        assert cells[4] == f"({low:.2f}-{high:.2f})"
        assert cells[-3:] == [
            str(member.replicates.count),
            probability_text(member.probability),
            str(member.trial.number),
        ]
    assert any(line.startswith("Hypervolume (95 %): 0.") for line in lines)
    (fixed,) = (line for line in lines if line.startswith("Values are means"))
    assert "7 allocations have more than one" in fixed
    assert "8 degrees of freedom" in fixed
    status = status_lines(replicated)
    probability = probability_text(front.members[0].probability)
    assert any(line.endswith(f"n 1, on the front {probability}") for line in status)
    assert any(str(front.members[0].allocation) in x for x in _printed(live_view(replicated, 1)))


def test_an_allocation_that_may_be_on_the_front_is_named(study_with):
    record = study_with(("8-4", (5.0,)), ("8-4", (5.6,)), ("4-8", (5.4,)), ("4-8", (5.5,)))
    (line,) = uncertainty_lines(study_front(record), OBJECTIVES[:1])[1:]
    assert re.fullmatch(r"Perhaps on the front, too: 8-4 \(0\.[34]\d\)\.", line)


def test_frames_have_means_and_half_widths(replicated):
    front = study_front(replicated)
    frame = allocations_frame(replicated, front).set_index("number")
    assert len(frame) == len(front.candidates)
    for candidate in front.candidates:
        row = frame.loc[candidate.trial.number]
        assert row["trainings"] == candidate.replicates.count
        assert row["front_probability"] == candidate.probability
        assert row["auroc"] == candidate.mean[2]
        low, high = candidate.interval[2]
        assert row["auroc_half_width"] == pytest.approx((high - low) / 2)
    trials = trials_frame(replicated, front)
    members = {str(member.allocation) for member in front.members}
    assert set(trials.loc[trials["on_front"], "allocation"]) == members
    assert trials["recommended"].sum() == 1
    assert front_frame(replicated, front)["number"].tolist() == [
        member.trial.number for member in front.members
    ]


def test_figures_draw_means_with_their_intervals(replicated):
    front = study_front(replicated)
    frame = allocations_frame(replicated, front)
    retention, _, auroc = OBJECTIVES
    pair = pareto_pair(frame, retention, auroc)
    by_number = {c.trial.number: c for c in front.candidates}
    drawn = 0
    for trace in pair.data[1:]:
        for i, (_, number, text) in enumerate(trace.customdata):
            candidate = by_number[number]
            assert (trace.x[i], trace.y[i]) == (candidate.mean[0], candidate.mean[2])
            low, high = candidate.interval[0]
            assert trace.error_x.array[i] == pytest.approx(high - candidate.mean[0])
            assert trace.error_x.arrayminus[i] == pytest.approx(candidate.mean[0] - low)
            # No AUROC is above 1.
            most = min(1.0, candidate.interval[2][1])
            assert trace.error_y.array[i] == pytest.approx(most - candidate.mean[2])
            assert f"n {candidate.replicates.count}, on the front " in text
            assert f"retention (nats), 95 %: {low:.2f}-{high:.2f}" in text
            drawn += 1
    assert drawn == len(front.candidates)
    (marks,) = (trace for trace in pair.data if trace.name == "front")
    strengths = [float(color.rstrip(")").split(", ")[-1]) for color in marks.marker.color]
    probabilities = [by_number[number].probability for _, number, _ in marks.customdata]
    assert strengths == pytest.approx([0.3 + 0.7 * p for p in probabilities])
    for figure in (pareto_3d(frame, OBJECTIVES), metric_by_ratio(frame, "attenuation")):
        assert any(len(trace.customdata) for trace in figure.data)


def test_bars_of_two_trainings_do_not_push_the_marks_together(study_with):
    record = study_with(("8-4", (5.0, 0.5)), ("8-4", (5.6, 0.4)), ("4-8", (6.0, 0.9)))
    figure = pareto_pair(allocations_frame(record), *OBJECTIVES[:2])
    low, high = figure.layout.xaxis.range
    assert (low, high) == pytest.approx((5.3 - 0.7, 6.0 + 0.7))


def test_page_explains_what_the_intervals_are(replicated, study):
    page = render_page(replicated)
    assert "The intervals are over trainings" in page
    assert "of one training, without an interval" not in page
    assert '<th scope="col" class="number">on the front</th>' in page
    chosen = recommendation(replicated)
    (known,) = (c for c in study_front(replicated).candidates if c.trial is chosen.trial)
    assert f"probability {probability_text(known.probability)}." in chosen.reason
    before = render_page(study)
    assert "of one training, without an interval" in before
    assert ">on the front</th>" not in before


@pytest.mark.parametrize("ending", ["toml", "yaml", "json"])
def test_export_says_what_all_trainings_say(replicated, tmp_path, ending):
    (group,) = (c for c in study_front(replicated).candidates if c.replicates.count == 3)
    exported = export_trial(replicated, pick(replicated, f"allocation:{group.allocation}"))
    path = tmp_path / f"best.{ending}"
    path.write_text(exported.to_text(ending))
    certainty = load_export(path).certainty
    assert certainty == exported.certainty
    assert certainty.trainings == 3
    assert tuple(certainty.means.values()) == group.mean
    assert certainty.front_probability == group.probability
    assert all(certainty.low[m] < certainty.means[m] < certainty.high[m] for m in certainty.low)
    assert exported.seed == group.trial.seed


def test_values_that_are_missing_stay_missing(replicated):
    trials = trials_frame(replicated)
    assert pd.isna(trials.loc[5, "auroc"])
