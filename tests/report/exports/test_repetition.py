from __future__ import annotations

import dataclasses

import pytest

from allocsearch.report.exports.export import export_trial
from allocsearch.report.exports.repetition import repetition_lines

THEN = {"python": "3.11.1", "torch": "2.6.0", "data": "abc"}


@pytest.fixture
def exported(study):
    return export_trial(study, dataclasses.replace(study.trials[0], provenance=THEN))


def test_equal_metrics(exported):
    count = len(exported.metrics)
    assert repetition_lines(exported, exported.metrics, THEN) == (
        f"All {count} metrics equal the exported ones exactly.",
    )


def test_the_smallest_difference_is_told(exported):
    metrics = dict(exported.metrics)
    metrics["auroc"] += 2**-53
    first, second = repetition_lines(exported, metrics, THEN)
    assert first == f"1 of {len(metrics)} metrics differ:"
    assert second.startswith("AUROC: exported ")


def test_the_library_of_a_pretraining_is_a_cause(study):
    library = "pytorch-metric-learning"
    then = {**THEN, library: "2.8.0"}
    exported = export_trial(study, dataclasses.replace(study.trials[0], provenance=then))
    assert exported.provenance.versions[library] == "2.8.0"
    metrics = {name: value + 1 for name, value in exported.metrics.items()}
    *_, cause = repetition_lines(exported, metrics, {**then, library: "2.9.0"})
    assert cause == "pytorch-metric-learning was 2.8.0 and is 2.9.0"


def test_causes_are_named(exported):
    metrics = {name: value + 1 for name, value in exported.metrics.items()}
    lines = repetition_lines(exported, metrics, {**THEN, "torch": "2.7.0", "data": "xyz"})
    assert lines[0] == f"{len(metrics)} of {len(metrics)} metrics differ:"
    assert lines[-2:] == ("torch was 2.6.0 and is 2.7.0", "data was abc and is xyz")


def test_versions_that_the_export_does_not_know_are_no_cause(exported):
    lines = repetition_lines(exported, exported.metrics, {**THEN, "optuna": "5.0.0"})
    assert len(lines) == 1


def test_only_shared_metrics_are_compared(exported):
    some = dict(list(exported.metrics.items())[:3])
    assert repetition_lines(exported, some, THEN) == (
        "All 3 metrics equal the exported ones exactly.",
    )
    assert repetition_lines(exported, {}, THEN) == (
        "Nothing to compare: the export holds no metrics.",
    )


def test_a_population_is_a_cause(exported):
    training = exported.training.model_copy(update={"population": 4})
    trained = exported.model_copy(update={"training": training})
    metrics = {name: value + 1 for name, value in exported.metrics.items()}
    assert "population" in repetition_lines(trained, metrics, THEN)[-1]
    # One that was trained alone after all is repeated to the bit.
    assert len(repetition_lines(trained, exported.metrics, THEN)) == 1
