from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from rich.console import Console

from allocsearch.allocation import Allocation, Lattice
from allocsearch.report.theory_page import (
    prediction_figure,
    write_prediction_image,
    write_prediction_page,
)
from allocsearch.report.theory_text import prediction_text
from allocsearch.search.prediction import LayerCountPrediction, StudyPrediction, listed
from allocsearch.theory import GaussianChain, front, lattice_dims, optimum, predict

EIGENVALUES = tuple(5 / i for i in range(1, 25))


def layer_count(layers: int) -> LayerCountPrediction:
    chain = GaussianChain(EIGENVALUES, 0.3, 0.8, 7.0)
    lattice = Lattice(24, layers)
    every = predict(chain, lattice_dims(lattice))
    members = listed(every, front(every))
    ratios = np.geomspace(0.1, 10, 41).tolist()
    family = sorted({Allocation.from_ratio(r, lattice) for r in ratios}, key=lambda a: a.ratio)
    curve = listed(predict(chain, [a.dims for a in family]), range(len(family)))
    best = listed(every, [optimum(every)])[0]
    knee = members[len(members) // 2]
    return LayerCountPrediction(layers, lattice.size, lattice.size, best, knee, members, curve)


@pytest.fixture(scope="module")
def prediction() -> StudyPrediction:
    counts = (layer_count(2), layer_count(3))
    return StudyPrediction(200, 64, 18.9, 7.0, 19, 0.3, 0.8, 1.0, EIGENVALUES, counts)


def text_of(prediction: StudyPrediction) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(prediction_text(prediction, "a study"))
    return capture.get()


def test_figure_shows_spectrum_front_and_both_curves(prediction):
    traces = prediction_figure(prediction, "a study").data
    spectrum = traces[0]
    assert list(spectrum.y) == pytest.approx(EIGENVALUES)
    for count in prediction.layer_counts:
        lines = [t for t in traces if t.name == f"{count.layers} layers"]
        members, retention, attenuation = lines
        assert list(members.x) == [m.retention for m in count.front]
        assert list(members.y) == [m.attenuation for m in count.front]
        assert list(retention.x) == list(attenuation.x) == [p.ratio for p in count.curve]
        assert list(retention.y) == [p.retention for p in count.curve]
        assert list(attenuation.y) == [p.attenuation for p in count.curve]
        assert [t.showlegend for t in lines] == [True, False, False]
        best = f"r* = {count.optimum.ratio:.2f} ({count.optimum.allocation})"
        assert sum(t.name == best for t in traces) == 3


def test_page_is_one_file_that_asks_the_network_for_nothing(prediction, tmp_path):
    path = write_prediction_page(prediction, "a <study>", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["theory.html"]
    text = path.read_text()
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", text)
    # The name of a study comes from a file that others wrote.
    assert "a <study>" not in text


def test_text_has_r_star_the_ends_and_the_knee(prediction):
    text = text_of(prediction)
    assert "200 training examples of 64 features" in text
    for count in prediction.layer_counts:
        best = count.optimum
        assert f"{count.layers} layers: r* = {best.ratio:.2f} ({best.allocation})" in text
        section = text[text.index(f"\n{count.layers} layers") :]
        for member in (count.front[0], count.front[-1], count.knee, best):
            row = next(x for x in section.splitlines() if x.split()[:1] == [member.allocation])
            assert f"{member.retention:.2f} nats" in row
            assert f"{member.attenuation:.3f}" in row
    along = text.split("predicted front")[0].splitlines()
    ratios = [float(line.split()[1]) for line in along if "nats" in line]
    assert ratios == sorted(ratios)
    assert 5 <= len(ratios) <= 9
    assert ratios[0] == pytest.approx(prediction.layer_counts[0].curve[0].ratio, abs=0.01)


def test_text_says_when_a_lattice_was_sampled(prediction):
    sampled = replace(prediction.layer_counts[1], size=10**15, compared=700)
    text = " ".join(text_of(replace(prediction, layer_counts=(sampled,))).split())
    assert "of 700 of 1.0e+15 allocations" in text


def test_one_layer_and_one_allocation_have_a_page_and_a_text(prediction, tmp_path):
    alone = replace(prediction, layer_counts=(layer_count(1),))
    write_prediction_page(alone, "alone", tmp_path)
    assert "1 layer: r* = 1.00 (24)" in text_of(alone)


def test_no_image_without_a_renderer(prediction, tmp_path, monkeypatch):
    def fail(*args: object, **kwargs: object) -> bytes:
        raise KeyError("no browser\nand a long story")

    monkeypatch.setattr(go.Figure, "to_image", fail)
    with pytest.raises(RuntimeError, match="no browser"):
        write_prediction_image(prediction, "a study", tmp_path)
    assert list(tmp_path.iterdir()) == []
