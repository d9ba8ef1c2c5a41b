from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.data.dataset import Dataset
from allocsearch.metrics.finite import NotFiniteError
from allocsearch.metrics.posterior_means import posterior_means
from allocsearch.metrics.probe import class_sizes, probe, probe_model
from allocsearch.models.build import INFERENCE_KINDS, build_model
from allocsearch.models.hvae import HVAE


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def labels_of(n: int, classes: int, seed: int = 0) -> Tensor:
    return torch.randint(classes, (n,), generator=seeded(seed))


def test_features_that_are_the_labels_are_told_apart_without_a_mistake() -> None:
    labels = labels_of(200, 4)
    found = probe(functional.one_hot(labels).float(), labels, 3)
    assert (found.accuracy, found.accuracy_knn, found.examples) == (1, 1, 200)
    assert found.chance == pytest.approx(float(labels.bincount().max()) / 200)


def test_noise_is_told_apart_by_chance_alone() -> None:
    labels = torch.cat([torch.zeros(600), torch.ones(400)]).long()
    found = probe(torch.randn(1_000, 3, generator=seeded()), labels, 0)
    assert found.chance == 0.6
    # Standard errors of a share over 1,000 examples are 0.016.
    assert found.accuracy == pytest.approx(0.6, abs=0.05)
    # Neighbours vote for a class as often as it is there: 0.6² + 0.4² or, by majority, more.
    assert 0.5 < found.accuracy_knn < 0.62


def test_accuracies_are_those_of_scikit_learn() -> None:
    digits = load_digits()
    x, y = digits.data[:400], digits.target[:400]
    folds = StratifiedKFold(5, shuffle=True, random_state=7)
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    expected = [
        cross_val_score(model, x, y, cv=folds).mean()
        for model in (logistic, KNeighborsClassifier(5))
    ]
    found = probe(torch.from_numpy(x), torch.from_numpy(y), 7)
    assert [found.accuracy, found.accuracy_knn] == pytest.approx(expected, abs=1e-12)


def test_the_seed_alone_says_which_folds_there_are() -> None:
    labels = labels_of(60, 2)
    features = torch.randn(60, 2, generator=seeded(1))
    first = probe(features, labels, 1)
    torch.manual_seed(99)
    assert probe(features, labels, 1) == first
    assert probe(features, labels, 2) != first
    assert probe(features, labels, 2**40 + 1) == first


def test_scale_and_offset_of_a_feature_do_not_change_the_logistic_regression() -> None:
    labels = labels_of(100, 2)
    features = torch.randn(100, 2, generator=seeded(1)).double() + labels[:, None]
    changed = features * torch.tensor([1e-4, 3e3]) + torch.tensor([0.0, 1e4])
    assert probe(changed, labels, 0).accuracy == probe(features, labels, 0).accuracy


def test_classes_too_small_for_the_folds_are_left_out() -> None:
    labels = torch.tensor([0] * 20 + [5] * 4 + [7] * 10 + [9])
    assert class_sizes(labels) == ({0: 20, 7: 10}, (5, 9))
    features = torch.randn(35, 2, generator=seeded())
    found = probe(features, labels, 0)
    kept = (labels == 0) | (labels == 7)
    alone = probe(features[kept], labels[kept], 0)
    assert found.left_out == (5, 9)
    assert (found.examples, found.chance) == (30, 20 / 30)
    assert (found.accuracy, found.accuracy_knn) == (alone.accuracy, alone.accuracy_knn)


def test_nobody_is_told_by_a_near_twin() -> None:
    # Pairs of twins, each far from all other examples: nothing else tells their class.
    clusters = torch.arange(100).repeat(2)
    labels = labels_of(100, 2).repeat(2)
    features = torch.randn(100, 50, generator=seeded(2)).repeat(2, 1)
    told = probe(features, labels, 0)
    found = probe(features, labels, 0, clusters)
    assert told.accuracy_knn > 0.75
    # Standard errors of a share over 100 pairs are 0.05.
    assert (found.accuracy, found.accuracy_knn) == pytest.approx((0.5, 0.5), abs=0.15)
    assert found.examples == 200


def test_with_clusters_accuracies_are_those_of_scikit_learn_too() -> None:
    digits = load_digits()
    x, y = digits.data[:400], digits.target[:400]
    clusters = labels_of(400, 150, seed=3)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=7)
    expected = cross_val_score(KNeighborsClassifier(5), x, y, groups=clusters, cv=folds).mean()
    found = probe(torch.from_numpy(x), torch.from_numpy(y), 7, clusters)
    assert found.accuracy_knn == pytest.approx(expected, abs=1e-12)


def test_classes_of_too_few_clusters_are_left_out() -> None:
    labels = torch.tensor([0] * 12 + [3] * 12 + [8] * 12)
    clusters = torch.cat([torch.arange(12), torch.arange(12) % 4, torch.arange(12) % 5 + 7])
    assert class_sizes(labels, clusters) == ({0: 12, 8: 12}, (3,))
    found = probe(torch.randn(36, 2, generator=seeded()), labels, 0, clusters)
    assert (found.examples, found.left_out) == (24, (3,))
    with pytest.raises(ValueError, match="1 classes have 5 clusters"):
        probe(torch.zeros(24, 1), labels[:24], 0, clusters[:24])


@pytest.mark.parametrize("labels", [torch.zeros(20), torch.tensor([0] * 16 + [1] * 4)])
def test_one_class_is_refused(labels: Tensor) -> None:
    with pytest.raises(ValueError, match="two or more"):
        probe(torch.zeros(20, 1), labels.long(), 0)


def test_labels_of_other_examples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(20, 1\) and \(19,\)"):
        probe(torch.zeros(20, 1), torch.zeros(19).long(), 0)
    with pytest.raises(ValueError, match=r"\(20, 1\) and \(20,\) and \(19,\)"):
        probe(torch.zeros(20, 1), labels_of(20, 2), 0, torch.arange(19))


def model_of(inference: str = "bottom_up", *, skip: bool = True) -> HVAE:
    raw = {"hidden": 12, "depth": 1, "skip": skip, "inference": inference}
    section = ModelSection.model_validate({**raw, "likelihood": "gaussian"})
    return build_model(Allocation((4, 3, 2)), (6,), section, 0).eval()


@pytest.mark.parametrize("inference", INFERENCE_KINDS)
@pytest.mark.parametrize("skip", [True, False])
def test_posterior_means_are_those_at_the_means_of_the_layers_read(
    inference: str, skip: bool
) -> None:
    model = model_of(inference, skip=skip)
    values = torch.randn(30, 6, generator=seeded())
    means = posterior_means(model, values, 7, 0)
    assert [each.shape for each in means] == [(30, 4), (30, 3), (30, 2)]
    x = model.likelihood.prepare(values, seeded())
    in_order = [means[layer] for layer in model.order]
    with torch.no_grad():
        expected = model.posteriors_given(x, in_order)
    for given, own in zip(expected, in_order, strict=True):
        torch.testing.assert_close(given.mean, own)


def test_a_layer_or_all_are_probed() -> None:
    model, labels = model_of(), labels_of(60, 2)
    values = torch.randn(60, 6, generator=seeded(1)) + labels[:, None]
    dataset = Dataset("set", values, labels)
    means = posterior_means(model, values, 60, 4)
    assert probe_model(model, dataset, 2, 25, 4) == probe(means[1], labels, 4)
    assert probe_model(model, dataset, "all", 25, 4) == probe(torch.cat(means, 1), labels, 4)
    clusters = torch.arange(60) // 3
    grouped = Dataset("set", values, labels, clusters=clusters)
    assert probe_model(model, grouped, 2, 25, 4) == probe(means[1], labels, 4, clusters)


def test_means_that_are_no_numbers_are_told() -> None:
    model = model_of()
    with torch.no_grad():
        model.posteriors[0].bias.fill_(torch.nan)
    dataset = Dataset("set", torch.zeros(20, 6), labels_of(20, 2))
    with pytest.raises(NotFiniteError, match="posterior means of set"):
        probe_model(model, dataset, 1, 20, 0)


def test_what_is_raised_before_a_pass_ends_the_probe() -> None:
    class StopError(Exception):
        pass

    def stop() -> None:
        raise StopError

    dataset = Dataset("set", torch.zeros(20, 6), labels_of(20, 2))
    with pytest.raises(StopError):
        probe_model(model_of(), dataset, 1, 20, 0, stop)
