from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config import InputError, SearchSpaceSection, StudyConfig
from allocsearch.data.dataset import Dataset
from allocsearch.search.prediction import (
    THEORY_NAME,
    StudyPrediction,
    read_prediction,
    write_prediction,
)
from allocsearch.search.predictor import predict_study
from allocsearch.theory import (
    chain_from_data,
    covariance_eigenvalues,
    front,
    predict,
    predicted_front,
)


def images(n: int = 400, features: int = 36) -> Tensor:
    """Grey images with a falling spectrum."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((features, features)))[0]
    rows = rng.standard_normal((n, features)) / np.arange(1, features + 1) @ basis.T
    grey = np.clip(128 + 60 * rows, 0, 255).astype(np.uint8)
    return torch.from_numpy(grey).reshape(n, 2, -1)


def study(**space: object) -> StudyConfig:
    section = SearchSpaceSection.model_validate({"budget": 24, "min_dim": 2, **space})
    return StudyConfig.model_validate(
        {"search_space": section, "data": {"id": "digits"}, "study": {"objectives": "max:elbo"}}
    )


@pytest.fixture(scope="module")
def prediction() -> StudyPrediction:
    return predict_study(study(), Dataset("train", images()))


def test_the_chain_is_that_of_the_data(prediction):
    rows = images().flatten(1).numpy() / 255
    chain = chain_from_data(rows, 24)
    spectrum = np.array(covariance_eigenvalues(rows))
    assert prediction.chain.noise == chain.noise
    assert prediction.chain.kappa == chain.kappa
    assert prediction.eigenvalues == pytest.approx(spectrum[:24])
    assert prediction.total_variance == pytest.approx(rows.var(0, ddof=1).sum())
    shares = spectrum.cumsum() / spectrum.sum()
    assert shares[prediction.directions_90 - 1] >= 0.9 > shares[prediction.directions_90 - 2]
    assert 1 <= prediction.effective_directions <= 36
    for allocation in (Allocation((20, 2, 2)), Allocation((8, 8, 8))):
        found = prediction.of([allocation])[0]
        information = chain.information(allocation.dims)
        assert found.retention == pytest.approx(information[0])
        assert found.attenuation == pytest.approx(1 - information[-1] / information[0])


def test_the_front_of_a_simplex_is_that_of_its_lattice(prediction):
    (count,) = prediction.layer_counts
    chain = chain_from_data(images().flatten(1).numpy() / 255, 24)
    lattice = Lattice(24, 3, min_dim=2)
    expected = predicted_front(chain, lattice)
    assert [member.parsed for member in count.front] == list(expected)
    assert count.size == count.compared == lattice.size
    points = np.array([(m.retention, m.attenuation) for m in count.front])
    scaled = (points - points.min(0)) / np.ptp(points, axis=0)
    nearest = np.hypot(1 - scaled[:, 0], scaled[:, 1]).argmin()
    assert count.knee == count.front[nearest]
    products = [a.retention * (1 - a.attenuation) ** 0.5 for a in prediction.of(list(lattice))]
    best = max(products)
    found = count.optimum
    assert found.retention * (1 - found.attenuation) ** 0.5 == pytest.approx(best)
    ratios = [point.ratio for point in count.curve]
    assert ratios == sorted(ratios)
    assert all(point.parsed in lattice for point in count.curve)


@pytest.mark.parametrize(
    "space",
    [
        {"kind": "ratio", "layers": [2, 4]},
        {"kind": "table", "allocations": ["18-6", "12-12", "20-2-2"]},
        {"max_dim": [20, 8, 6]},
        {"step": [4, 3, 1]},
        {"kind": "ratio", "step": [4, 3, 1]},
        {"kind": "table", "step": [2, 3], "allocations": ["12-12", "6-18", "18-6"]},
        {"layers": [1, 2]},
    ],
)
def test_every_space_has_predictions_of_its_own_allocations(space):
    config = study(**space)
    prediction = predict_study(config, Dataset("train", images()))
    counts = prediction.layer_counts
    assert tuple(count.layers for count in counts) == config.search_space.layer_counts
    for count in counts:
        members = [*count.front, count.optimum, count.knee]
        assert all(m.parsed.layers == count.layers for m in members)
        assert all(m.parsed.budget == 24 for m in members)
        steps = config.search_space.steps(count.layers)
        drawn = [*members, *count.curve]
        assert not np.mod([m.parsed.dims for m in drawn], steps).any()
        if config.search_space.kind == "table":
            assert {m.allocation for m in members} <= set(config.search_space.allocations)
        else:
            lattice = config.search_space.lattices()[count.layers]
            assert all(m.parsed in lattice for m in members)


def test_a_huge_lattice_is_sampled_and_finds_the_front_of_the_chain():
    config = study(budget=400, layers=5, min_dim=1)
    prediction = predict_study(config, Dataset("train", images(features=484)))
    (count,) = prediction.layer_counts
    assert count.size == Lattice(400, 5).size
    assert 1000 < count.compared < count.size
    assert count.front[0].retention >= max(point.retention for point in count.curve)
    # The chain knows only the ends and the narrowest layer, widest where the rest is shared.
    chain = chain_from_data(images(features=484).flatten(1).numpy() / 255, 400)
    ends = [(d, t) for d in range(1, 397) for t in range(1, 398 - d)]
    every = [(d, *((400 - d - t + i) // 3 for i in range(3)), t) for d, t in ends]
    best = predict(chain, every)
    rows = front(best)
    found = np.array([(member.retention, member.attenuation) for member in count.front])
    for retention, attenuation in zip(best.retention[rows], best.attenuation[rows], strict=True):
        near = found[found[:, 0] >= 0.98 * retention]
        assert near[:, 1].min() <= attenuation + 0.01
    assert predict_study(config, Dataset("train", images(features=484))) == prediction


def test_a_huge_lattice_of_mixed_steps_is_sampled():
    config = study(budget=400, layers=5, min_dim=1, step=[49, 4, 4, 1, 1])
    (count,) = predict_study(config, Dataset("train", images(features=484))).layer_counts
    lattice = Lattice(400, 5, step=(49, 4, 4, 1, 1))
    assert count.size == lattice.size
    assert 1000 < count.compared < count.size
    assert all(m.parsed in lattice for m in (*count.front, *count.curve, count.optimum))
    assert count.front[0].parsed.dims[0] == max(lattice.choices(0, 400))


def test_it_reads_back_what_it_wrote(tmp_path, prediction):
    assert read_prediction(tmp_path) is None
    assert write_prediction(prediction, tmp_path) == tmp_path / THEORY_NAME
    assert read_prediction(tmp_path) == prediction
    assert [path.name for path in tmp_path.iterdir()] == [THEORY_NAME]
    whole = (tmp_path / THEORY_NAME).read_text()
    for broken in ('{"examples": 3', "[]", whole.replace('"kappa":', '"kappa": 1')):
        (tmp_path / THEORY_NAME).write_text(broken)
        with pytest.raises(InputError, match=r"theory\.json: .*remove the file"):
            read_prediction(tmp_path)


@pytest.mark.parametrize(
    ("values", "kind", "match"),
    [
        (torch.full((9, 6, 6), 7, dtype=torch.uint8), "pixels", "data.id: .*constant"),
        (torch.zeros(3, 5000, dtype=torch.uint8), "pixels", "data.id: found 5000 features"),
        (
            images().float() / 255,
            "continuous",
            "data.id: found continuous values; .*: pixels",
        ),
        (images(), "tokens", "data.id: found ids of tokens; .*: pixels"),
    ],
)
def test_data_without_a_chain_is_refused(values, kind, match):
    with pytest.raises(InputError, match=match):
        predict_study(study(), Dataset("train", values, kind=kind))


def test_the_file_needs_nothing_but_the_folder(tmp_path: Path, prediction):
    write_prediction(prediction, tmp_path)
    found = read_prediction(tmp_path)
    assert found is not None
    assert found.of([Allocation((20, 2, 2))]) == prediction.of([Allocation((20, 2, 2))])
