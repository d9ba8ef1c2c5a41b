from __future__ import annotations

import math

import pytest

from allocsearch.report.labels import (
    format_duration,
    format_metric,
    interval_text,
    metric_label,
    names_text,
    trials_text,
    with_interval,
)


@pytest.mark.parametrize(
    ("metric", "label"),
    [
        ("retention", "retention (nats)"),
        ("attenuation", "attenuation"),
        ("elbo", "ELBO (nats)"),
        ("information_3", "information, layer 3 (nats)"),
        ("active_units_1", "active units, layer 1"),
        ("distortion_skip_2", "distortion, z_2 and below from the prior (nats)"),
        ("explained_skip_0", "explained share"),
        ("explained_skip_1", "explained share, z_1 and below from the prior"),
        ("auroc.Omniglot.llr_1", "AUROC, Omniglot, llr_1"),
        ("auroc_low", "AUROC, lower end (95 %)"),
        ("auroc_high.v1.5", "AUROC, upper end (95 %), v1.5"),
        ("aupr_id.Omniglot", "AUPR, ID positive, Omniglot"),
        ("fpr95.Omniglot", "FPR at 95 % TPR, Omniglot"),
    ],
)
def test_labels(metric, label):
    assert metric_label(metric) == label


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("retention", 9.806, "9.81"),
        ("rate_2", -0.001, "0.00"),
        ("auroc", 0.9425, "0.943"),
        ("active_units_1", 18.0, "18"),
        ("elbo", math.nan, "\u2013"),
        ("elbo", None, "\u2013"),
    ],
)
def test_values(metric, value, text):
    assert format_metric(metric, value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.2 s"),
        (48, "48 s"),
        (59.6, "1 m 00 s"),
        (112, "1 m 52 s"),
        (7385, "2 h 03 m"),
        (None, "\u2013"),
    ],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


def test_a_value_has_its_interval_where_both_ends_are_known():
    metrics = {"auroc": 0.9425, "auroc_low": 0.928, "auroc_high": 0.9551, "elbo": 1.0}
    assert interval_text("auroc", metrics) == "0.928-0.955"
    assert with_interval("0.943", "auroc", metrics) == "0.943 (0.928-0.955)"
    assert with_interval("1.00 nats", "elbo", metrics) == "1.00 nats"
    assert interval_text("auroc", {**metrics, "auroc_high": math.nan}) is None


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((3,), "trial 3"),
        ((0, 1, 2, 5, 7, 8), "trials 0-2, 5, 7-8"),
        (tuple(range(0, 40, 2)), "trials 0, 2, 4, 6, 8, 10 and others, 20 in all"),
    ],
)
def test_numbers_of_trials_are_ranges(numbers, text):
    assert trials_text(numbers) == text


def test_names_are_listed_as_in_a_sentence():
    assert names_text(["a"]) == "a"
    assert names_text(["a", "b"]) == "a and b"
    assert names_text(["a", "b", "c"]) == "a, b and c"
