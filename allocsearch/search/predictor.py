"""The prediction of a study from its ID training data alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config import InputError, SearchSpaceSection, StudyConfig
from allocsearch.data.dataset import Dataset
from allocsearch.data.splits import load_search_data
from allocsearch.search.prediction import (
    LayerCountPrediction,
    PredictedAllocation,
    StudyPrediction,
    listed,
)
from allocsearch.theory import (
    GaussianChain,
    chain_from_data,
    front,
    lattice_dims,
    optimum,
    predict,
)

# Numbers that the covariance is computed from, and the features that it may have: seconds of work.
_MOST_VALUES = 1 << 25
_MOST_FEATURES = 4096
# Allocations that are compared one by one; of larger lattices, a sample of at most this cost.
_EXHAUSTIVE = 300_000
_SAMPLE = 20_000
_SAMPLE_COST = 4_000_000
_BOTTOMS = 201
_TOPS = 33
_RATIOS = 1025
_CURVE_RATIOS = 121


def predict_study(config: StudyConfig, train: Dataset) -> StudyPrediction:
    """Predict retention and attenuation for the search space of a study.

    Args:
        config: The study.
        train: Its ID training examples, pixels; the first of them are used where all would take
            long.

    Raises:
        InputError: If no chain follows from the data: it is constant, no pixels, or has too many
            features.
    """
    features = train.values[0].numel()
    kind = "tokens" if config.model.one_hot else train.kind
    if kind != "pixels":
        found = {"tokens": "ids of tokens", "continuous": "continuous values"}[kind]
        raise InputError(
            f"data.id: found {found}; allowed for a prediction: pixels, from which the "
            "sigma^2 of the chain follows"
        )
    if features > _MOST_FEATURES:
        raise InputError(
            f"data.id: found {features} features; allowed for a prediction: {_MOST_FEATURES}"
        )
    rows = train.values[: max(2, _MOST_VALUES // features)].flatten(1).numpy() / 255
    space = config.search_space
    try:
        chain = chain_from_data(rows, space.budget)
    except ValueError as error:
        raise InputError(f"data.id: {error}") from None
    values = np.asarray(chain.eigenvalues)
    shares = np.cumsum(values) / values.sum()
    return StudyPrediction(
        examples=len(rows),
        features=features,
        total_variance=float(values.sum()),
        effective_directions=chain.directions,
        directions_90=int(np.searchsorted(shares, 0.9)) + 1,
        noise=chain.noise,
        kappa=chain.kappa,
        gamma=chain.gamma,
        eigenvalues=chain.eigenvalues[: space.budget],
        layer_counts=tuple(
            _predict_layers(chain, space, layers, config.study.seed)
            for layers in space.layer_counts
        ),
    )


def load_and_predict(config: StudyConfig) -> StudyPrediction:
    """Load the ID training data of a study, and nothing else, and predict.

    Raises:
        InputError: If the data is missing or broken, or as `predict_study`.
    """
    alone = config.own_data.model_copy(
        update={"ood_validation": (), "ood_test": (), "probe": None}
    )
    return predict_study(config, load_search_data(alone).train)


def _predict_layers(
    chain: GaussianChain, space: SearchSpaceSection, layers: int, seed: int
) -> LayerCountPrediction:
    candidates, size = _candidates(space, layers, seed, chain.directions)
    prediction = predict(chain, candidates)
    members = listed(prediction, front(prediction))
    family = predict(chain, _ratio_family(space, _curve_lattice(space, layers), _CURVE_RATIOS))
    curve = listed(family, range(len(family.dims)))
    return LayerCountPrediction(
        layers=layers,
        size=size,
        compared=len(candidates),
        optimum=listed(prediction, [optimum(prediction)])[0],
        knee=_knee(members),
        front=members,
        curve=tuple(sorted(curve, key=lambda item: item.ratio)),
    )


def _candidates(
    space: SearchSpaceSection, layers: int, seed: int, directions: float
) -> tuple[NDArray[np.int64], int]:
    """Different allocations `(m, L)` of the space to choose from, and how many it has."""
    if space.kind == "table":
        parsed = [Allocation.parse(text) for text in space.allocations]
        rows = np.unique([a.dims for a in parsed if a.layers == layers], axis=0)
        return rows, len(rows)
    lattice = space.lattices()[layers]
    if space.kind == "simplex" and lattice.size <= _EXHAUSTIVE:
        return lattice_dims(lattice), lattice.size
    family = _ratio_family(space, lattice, _RATIOS)
    if space.kind == "ratio":
        return family, len(family)
    source = random.Random(seed)
    wanted = min(_SAMPLE, _SAMPLE_COST // (lattice.units * layers))
    sample = [lattice[source.randrange(lattice.size)].dims for _ in range(wanted)]
    shared = _shared_equally(lattice, directions)
    return np.unique([*family.tolist(), *shared, *sample], axis=0), lattice.size


def _shared_equally(lattice: Lattice, directions: float) -> Iterator[tuple[int, ...]]:
    """Layer 1 and the top of many widths, the rest shared equally.

    Without caps the best of the chain are like this: a layer between only ever narrows.
    """
    steps, caps = lattice.steps[1:-1], lattice.max_dim and lattice.max_dim[1:-1]
    bottoms = np.array(lattice.choices(0, lattice.budget))
    bottoms = bottoms[np.unique(np.linspace(0, len(bottoms) - 1, _BOTTOMS).astype(int))]
    if lattice.layers == 2:
        yield from ((bottom, lattice.budget - bottom) for bottom in bottoms.tolist())
        return

    @cache
    def between(left: int) -> tuple[int, ...] | None:
        try:
            rest = Lattice(left, lattice.layers - 2, steps, lattice.min_dim, caps)
        except ValueError:
            # The layers between cannot hold the rest.
            return None
        return Allocation.from_ratio(1.0, rest).dims

    step = lattice.steps[-1]
    least, most = lattice.lowest[-1] // step, lattice.highest[-1] // step
    near = np.clip((directions / step, directions / step + 1), least, most)
    tops = step * np.unique((*np.geomspace(least, most, _TOPS).astype(int), *near.astype(int)))
    for bottom, top in product(bottoms.tolist(), tops.tolist()):
        dims = between(lattice.budget - bottom - top)
        if dims is not None:
            yield bottom, *dims, top


def _curve_lattice(space: SearchSpaceSection, layers: int) -> Lattice:
    if space.kind == "table":
        return Lattice(space.budget, layers, space.steps(layers))
    return space.lattices()[layers]


def _ratio_family(space: SearchSpaceSection, lattice: Lattice, n: int) -> NDArray[np.int64]:
    """The different allocations `(m, L)` at n ratios of the range of the space."""
    low, high = space.ratio_range
    ratios = np.geomspace(low, high, n).clip(low, high)
    return np.unique([Allocation.from_ratio(float(r), lattice).dims for r in ratios], axis=0)


def _knee(members: Sequence[PredictedAllocation]) -> PredictedAllocation:
    """The member nearest to the best value of both, each scaled to its range over the front."""
    costs = np.array([(-member.retention, member.attenuation) for member in members])
    spread = np.ptp(costs, axis=0)
    scaled = (costs - costs.min(0)) / np.where(spread > 0, spread, 1)
    return members[int(np.linalg.norm(scaled, axis=1).argmin())]
