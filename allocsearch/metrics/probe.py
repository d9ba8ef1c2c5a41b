"""The downstream probe: how well simple classifiers tell classes apart by features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from allocsearch.data.dataset import Dataset
from allocsearch.metrics.finite import check_finite
from allocsearch.metrics.posterior_means import posterior_means
from allocsearch.models.hvae import HVAE

FOLDS = 5
_NEIGHBOURS = 5
_MOST_ITERATIONS = 1_000
# Names under which a probe is recorded.
PROBE_METRICS = ("probe_accuracy", "probe_accuracy_knn", "probe_chance")


@dataclass(frozen=True)
class Probe:
    """What was found.

    Attributes:
        accuracy: Of logistic regression, the mean over the folds.
        accuracy_knn: The same of k-nearest neighbours.
        chance: Share of the largest class: what a classifier without features reaches.
        examples: How many examples the classes have that took part.
        left_out: Labels of the classes that are too small for the folds, ascending.
    """

    accuracy: float
    accuracy_knn: float
    chance: float
    examples: int
    left_out: tuple[int, ...] = ()

    @property
    def metrics(self) -> dict[str, float]:
        """By the names under which a trial records them."""
        values = (self.accuracy, self.accuracy_knn, self.chance)
        return dict(zip(PROBE_METRICS, values, strict=True))


def class_sizes(
    labels: Tensor, clusters: Tensor | None = None
) -> tuple[dict[int, int], tuple[int, ...]]:
    """Which classes can be probed.

    Args:
        labels: int64, `(n,)`.
        clusters: As for `probe`.

    Returns:
        The number of examples of each class that has one for every fold (with clusters, one
        cluster), by label, and the labels of the others, both ascending.
    """
    found, counts = torch.unique(labels, return_counts=True)
    sizes = dict(zip(found.tolist(), counts.tolist(), strict=True))
    apart = sizes
    if clusters is not None:
        of_pairs = torch.unique(torch.stack([labels, clusters]), dim=1)[0]
        apart = dict(enumerate(torch.bincount(of_pairs).tolist()))
    large = {label: size for label, size in sizes.items() if apart[label] >= FOLDS}
    return large, tuple(label for label in sizes if label not in large)


def has_classes(dataset: Dataset) -> bool:
    """Whether a set has two classes or more to tell apart."""
    if dataset.labels is None:
        return False
    return len(class_sizes(dataset.labels, dataset.clusters)[0]) > 1


def probe(features: Tensor, labels: Tensor, seed: int, clusters: Tensor | None = None) -> Probe:
    """Cross-validated accuracies of two classifiers, over stratified folds drawn with the seed.

    Logistic regression sees standardised features, fitted on the training folds (scikit-learn's
    defaults). The 5 nearest neighbours are those by Euclidean distance of the features as they
    are: standardised, latent dims that hold nothing would count as much as those that do. Classes
    with fewer than 5 examples (with clusters, 5 of these), the number of folds, are left out.

    Args:
        features: Finite, `(n, d)`.
        labels: Classes, int64 `(n,)`.
        seed: Of the folds; 0 or more.
        clusters: int64, `(n,)`: all examples of one are in the same fold, so that none is told by
            its near twin. None: examples are drawn one by one.

    Raises:
        ValueError: If lengths differ, or fewer than two classes have 5 examples or clusters.
    """
    # Seconds of imports, for those alone who probe.
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    whole = (labels,) if clusters is None else (labels, clusters)
    if features.ndim != 2 or any(each.shape != features.shape[:1] for each in whole):
        found = " and ".join(str(tuple(each.shape)) for each in (features, *whole))
        raise ValueError(f"features are (n, d), labels and clusters (n,), not {found}")
    sizes, left_out = class_sizes(labels, clusters)
    if len(sizes) < 2:
        what = "examples" if clusters is None else "clusters"
        raise ValueError(f"{len(sizes)} classes have {FOLDS} {what}; a probe takes two or more")
    kept = torch.isin(labels, torch.tensor([*sizes]))
    x, y = features[kept].double().numpy(), labels[kept].numpy()
    # NumPy takes seeds of 32 bits.
    kind = StratifiedKFold if clusters is None else StratifiedGroupKFold
    folds = kind(FOLDS, shuffle=True, random_state=seed % 2**32)
    groups = None if clusters is None else clusters[kept].numpy()
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MOST_ITERATIONS))
    neighbours = KNeighborsClassifier(_NEIGHBOURS)
    accuracy, accuracy_knn = (
        float(cross_val_score(model, x, y, groups=groups, cv=folds, scoring="accuracy").mean())
        for model in (logistic, neighbours)
    )
    return Probe(accuracy, accuracy_knn, max(sizes.values()) / len(y), len(y), left_out)


def probe_model(
    model: HVAE,
    dataset: Dataset,
    which: int | str,
    batch_size: int,
    seed: int,
    on_batch: Callable[[], None] = lambda: None,
) -> Probe:
    """The `probe` of a model's posterior means.

    Args:
        model: A trained model, in eval mode.
        dataset: Labelled examples; where their clusters are known, no two folds share one.
        which: As `evaluation.probe`: a layer from 1, or `all`, whose means stand side by side.
        batch_size: Examples in one pass.
        seed: Of binarisation and folds.
        on_batch: Called before every pass; what it raises ends the work.

    Raises:
        NotFiniteError: If a posterior mean is NaN or infinite.
        ValueError: As `probe`, or if the set has no labels.
    """
    if dataset.labels is None:
        raise ValueError(f"{dataset.name} has no labels")
    means = posterior_means(model, dataset.values, batch_size, seed, on_batch)
    features = torch.cat(means, 1) if which == "all" else means[int(which) - 1]
    check_finite({f"posterior means of {dataset.name}": float(features.sum())})
    on_batch()
    return probe(features, dataset.labels, seed, dataset.clusters)
