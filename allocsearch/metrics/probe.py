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
        left_out: Labels of the classes with fewer examples than there are folds, ascending.
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


def class_sizes(labels: Tensor) -> tuple[dict[int, int], tuple[int, ...]]:
    """Which classes can be probed.

    Args:
        labels: int64, `(n,)`.

    Returns:
        The examples of each class that has one for every fold, by label, and the labels of the
        others, both ascending.
    """
    found, counts = torch.unique(labels, return_counts=True)
    sizes = dict(zip(found.tolist(), counts.tolist(), strict=True))
    large = {label: size for label, size in sizes.items() if size >= FOLDS}
    return large, tuple(label for label in sizes if label not in large)


def has_classes(labels: Tensor | None) -> bool:
    """Whether there are two classes or more to tell apart."""
    return labels is not None and len(class_sizes(labels)[0]) > 1


def probe(features: Tensor, labels: Tensor, seed: int) -> Probe:
    """Cross-validated accuracies of two classifiers, over stratified folds drawn with the seed.

    Logistic regression sees standardised features, fitted on the training folds (scikit-learn's
    defaults). The 5 nearest neighbours are those by Euclidean distance of the features as they
    are: standardised, latent dims that hold nothing would count as much as those that do. Classes
    with fewer than 5 examples, the number of folds, are left out.

    Args:
        features: Finite, `(n, d)`.
        labels: Classes, int64 `(n,)`.
        seed: Of the folds; 0 or more.

    Raises:
        ValueError: If lengths differ, or fewer than two classes have 5 examples.
    """
    # Seconds of imports, for those alone who probe.
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if features.ndim != 2 or labels.shape != features.shape[:1]:
        found = f"{tuple(features.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"features and labels are (n, d) and (n,), not {found}")
    sizes, left_out = class_sizes(labels)
    if len(sizes) < 2:
        raise ValueError(f"{len(sizes)} classes have {FOLDS} examples; a probe takes two or more")
    kept = torch.isin(labels, torch.tensor([*sizes]))
    x, y = features[kept].double().numpy(), labels[kept].numpy()
    # NumPy takes seeds of 32 bits.
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MOST_ITERATIONS))
    neighbours = KNeighborsClassifier(_NEIGHBOURS)
    accuracy, accuracy_knn = (
        float(cross_val_score(model, x, y, cv=folds, scoring="accuracy").mean())
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
        dataset: Labelled examples.
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
    return probe(features, dataset.labels, seed)
