from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
from rich.console import Console

from allocsearch.config import InputError
from allocsearch.report.evaluation_table import evaluation_cells, write_evaluation_table
from allocsearch.report.evaluation_text import evaluation_text, opened_text
from allocsearch.search.evaluation.evaluations import (
    Detected,
    Evaluated,
    Evaluation,
    Opening,
    PlainBaseline,
    append_opening,
    read_evaluation,
    read_openings,
    write_evaluation,
)

OPENING = Opening(
    1, "2026-01-02T03:04:05+00:00", ("20-8-4",), ("20-8-4", "11-11-10"), (1, 2), {"far": "f"}, "i"
)


def found(name, auroc, **rest):
    return Detected(name, auroc, 0.01, auroc - 0.02, auroc + 0.02, 0.8, 0.7, 0.4, 0.5, 0.3, **rest)


@pytest.fixture
def evaluation():
    difference = {"difference": 0.1, "difference_low": 0.05, "difference_high": 0.15}
    sets = (
        found("far", 0.95, **difference, p_value=0.0001),
        found("near", 0.9, **difference, p_value=0.25),
    )
    ours = Evaluated(
        "20-8-4",
        ("knee (trial 3)",),
        "kl_1",
        "chosen on validation set inversion (trial 3)",
        (1, 2),
        elbo=-30.25,
        elbo_sd=0.5,
        retention=9.0,
        attenuation=0.5,
        sets=sets,
    )
    uniform = Evaluated(
        "11-11-10",
        ("uniform split",),
        None,
        "no training ended well",
        (),
        {"1": "loss is nan", "2": "loss is nan"},
    )
    return Evaluation(OPENING, "given", ("inversion",), {"data": "d"}, (ours, uniform))


def shown(evaluation, openings=(OPENING,)):
    console = Console(width=40)
    with console.capture() as capture:
        console.print(evaluation_text(evaluation, openings), soft_wrap=True, highlight=False)
    return capture.get()


def test_text_says_what_was_found_and_what_was_chosen_where(evaluation):
    lines = shown(evaluation).splitlines()
    assert lines[0] == "given  test sets opened 1 time in this run"
    assert lines[1].split()[:4] == ["allocation", "test", "set", "AUROC"]
    assert lines[2].split()[:4] == ["20-8-4", "far", "0.950", "(0.930-0.970)"]
    assert "+0.100 (+0.050 to +0.150)" in lines[2]
    assert "<0.001" in lines[2]
    assert "near (worst)" in lines[3]
    assert "0.250" in lines[3]
    assert "all trainings failed" in lines[4]
    assert lines[5] == "AUROC in the mean over 2 test sets (the lowest): 20-8-4 0.925 (0.900)."
    choice = "20-8-4: knee (trial 3); score kl_1: chosen on validation set inversion (trial 3)"
    assert lines[6] == f"{choice}; ELBO of the ID test part -30.2 nats"
    assert all(len(line) == len(lines[2]) for line in lines[1:4])
    assert lines[7:10] == [
        "11-11-10: uniform split; no training ended well",
        "  seed 1 failed: loss is nan",
        "  seed 2 failed: loss is nan",
    ]
    assert "over 2 fresh seeds and the examples" in lines[10]
    assert "not corrected for 1 comparison per test set" in lines[10]


def test_plain_detectors_are_in_the_table_and_where_they_win_is_said(evaluation, tmp_path):
    plain = tuple(
        PlainBaseline(
            name,
            tuple(
                Detected(each, auroc, None, auroc - 0.1, auroc + 0.1, 0.8, 0.7, 0.4, 0.5, None)
                for each, auroc in zip(("far", "near"), aurocs, strict=True)
            ),
        )
        for name, aurocs in (("sequence length", (0.6, 0.97)), ("composition", (0.9503, 0.96)))
    )
    lines = shown(replace(evaluation, plain=plain)).splitlines()
    assert lines[5].split()[:4] == ["sequence", "length", "far", "0.600"]
    assert lines[8].split()[1:3] == ["near", "0.960"]
    assert (
        "A plain detector does better than 20-8-4 on 1 of 2 test sets: near (sequence length "
        "0.970 against 0.900)."
    ) in lines
    assert (
        "AUROC in the mean over 2 test sets (the lowest): 20-8-4 0.925 (0.900); sequence length "
        "0.785 (0.600); composition 0.955 (0.950)."
    ) in lines
    weak = tuple(replace(each, sets=plain[0].sets[:1] * 2) for each in plain)
    text = shown(replace(evaluation, plain=weak))
    assert "No plain detector does better than 20-8-4 on any of 2 test sets." in text
    write_evaluation(tmp_path, replace(evaluation, plain=plain))
    assert read_evaluation(tmp_path, OPENING).plain == plain
    with write_evaluation_table(replace(evaluation, plain=plain), tmp_path).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["allocation"] for row in rows[3:]] == ["sequence length"] * 2 + ["composition"] * 2
    assert (rows[4]["auroc"], rows[4]["roles"]) == ("0.97", "plain detector")


def test_one_test_set_has_no_mean(evaluation):
    ours = replace(evaluation.evaluated[0], sets=evaluation.evaluated[0].sets[:1])
    assert "in the mean" not in shown(replace(evaluation, evaluated=(ours,)))


def test_one_seed_is_said_to_be_one(evaluation):
    one = replace(evaluation, opening=replace(OPENING, seeds=(1,)))
    assert "over examples alone (one seed)" in shown(one)


def test_number_of_openings_is_told_with_what_it_means():
    second = replace(OPENING, number=2, seeds=(1, 2, 3))
    assert opened_text((OPENING, second)) == "test sets opened 2 times in this run"
    other = replace(OPENING, number=3, picked=("4-8-20",), again=True)
    assert opened_text((OPENING, second, other)).startswith(
        "test sets opened 3 times in this run, for different picks: the best of several"
    )


def test_picked_rows_are_set_off(evaluation):
    assert [row.picked for row in evaluation_cells(evaluation)] == [True, True, False]


def test_csv_has_every_number(evaluation, tmp_path):
    path = write_evaluation_table(evaluation, tmp_path)
    assert path == tmp_path / "evaluations" / "1" / "evaluation.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["allocation"], row["set"]) for row in rows] == [
        ("20-8-4", "far"),
        ("20-8-4", "near"),
        ("11-11-10", ""),
    ]
    assert float(rows[0]["auroc"]) == 0.95
    assert float(rows[0]["p_value"]) == 0.0001
    assert [row["worst"] for row in rows] == ["False", "True", ""]
    assert rows[0]["roles"] == "knee (trial 3)"


def test_files_read_back_equal(evaluation, tmp_path):
    append_opening(tmp_path, OPENING)
    append_opening(tmp_path, replace(OPENING, number=2))
    assert read_openings(tmp_path) == (OPENING, replace(OPENING, number=2))
    write_evaluation(tmp_path, evaluation)
    assert read_evaluation(tmp_path, OPENING) == evaluation
    assert read_evaluation(tmp_path, replace(OPENING, number=2)) is None


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda ours, other: ours.update(seeds=[]), "'20-8-4': results of no training"),
        (lambda ours, other: ours["sets"].append(ours["sets"][0]), "two results of one test set"),
        (lambda ours, other: ours["sets"][1].update(difference_low=None), "difference on 'near'"),
        (lambda ours, other: other.update(allocation="20-8-4"), "one allocation twice"),
        (
            lambda ours, other: other.update(seeds=[1], sets=ours["sets"][:1]),
            "results of different test sets",
        ),
    ],
)
def test_results_that_contradict_each_other_are_one_line(evaluation, tmp_path, edit, said):
    path = write_evaluation(tmp_path, evaluation)
    content = json.loads(path.read_text())
    edit(*content["evaluated"])
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as told:
        read_evaluation(tmp_path, OPENING)
    assert str(told.value).startswith(f"{path}: ")
    assert said in str(told.value)
    assert "\n" not in str(told.value)
