"""What the Gaussian channel chain predicts for a study, from its ID training data alone."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config import InputError, SearchSpaceSection, StudyConfig
from allocsearch.search.storage import write_atomically
from allocsearch.theory import (
    GaussianChain,
    Prediction,
    chain_from_data,
    front,
    lattice_dims,
    optimum,
    predict,
)

THEORY_NAME = "theory.json"

# Numbers that the covariance is computed from, and the features that it may have: seconds of work.
_MOST_VALUES = 1 << 25
_MOST_FEATURES = 4096
# Allocations that are compared one by one; of larger lattices, a sample of at most this cost.
_EXHAUSTIVE = 300_000
_SAMPLE = 20_000
_SAMPLE_COST = 4_000_000
_WIDTHS = 201
_RATIOS = 1025
_CURVE_RATIOS = 121


@dataclass(frozen=True)
class PredictedAllocation:
    """An allocation in text form with its ratio, retention (nats) and attenuation."""

    allocation: str
    ratio: float
    retention: float
    attenuation: float

    @property
    def parsed(self) -> Allocation:
        """The allocation."""
        return Allocation.parse(self.allocation)


@dataclass(frozen=True)
class LayerCountPrediction:
    """The predictions for one number of layers.

    Attributes:
        layers: L.
        size: Allocations of the search space with L layers; for a table or a ratio space those
            that were compared.
        compared: How many of them optimum and front were chosen from: all, or of a huge lattice
            the ratio family, many widths of layer 1 with the rest shared equally, and a seeded
            sample.
        optimum: The largest retention * (1 - attenuation)^(1/2); its ratio is r*.
        knee: The member of the front nearest to the ideal point, both scaled to the front.
        front: Most retention, least attenuation; in falling order of retention.
        curve: The ratio family, in rising order of ratio.
    """

    layers: int
    size: int
    compared: int
    optimum: PredictedAllocation
    knee: PredictedAllocation
    front: tuple[PredictedAllocation, ...]
    curve: tuple[PredictedAllocation, ...]


@dataclass(frozen=True)
class StudyPrediction:
    """The chain of a study's data, and what follows from it.

    Attributes:
        examples: Training examples that the spectrum was computed from.
        features: Features of one example.
        total_variance: Sum of all eigenvalues of the covariance of the pixels in [0, 1].
        effective_directions: Participation ratio of the eigenvalues.
        directions_90: The fewest directions with 90 % of the variance.
        noise: sigma^2 of the chain.
        kappa: Share of rho^2 that a layer passes on.
        eigenvalues: The largest ones, as many as the budget has dims.
        layer_counts: The predictions for each number of layers.
    """

    examples: int
    features: int
    total_variance: float
    effective_directions: float
    directions_90: int
    noise: float
    kappa: float
    eigenvalues: tuple[float, ...]
    layer_counts: tuple[LayerCountPrediction, ...]

    @property
    def chain(self) -> GaussianChain:
        """The chain. No layer has more dims than it has eigenvalues."""
        return GaussianChain(self.eigenvalues, self.noise, self.kappa)

    def of(self, allocations: Sequence[Allocation]) -> tuple[PredictedAllocation, ...]:
        """The predictions for any allocations of the budget."""
        return tuple(
            _listed(predict(self.chain, [allocation.dims]), [0])[0] for allocation in allocations
        )


_ADAPTER = TypeAdapter(StudyPrediction)


def predict_study(config: StudyConfig, train: Tensor) -> StudyPrediction:
    """Predict retention and attenuation for the search space of a study.

    Args:
        config: The study.
        train: Its ID training examples, `(n, *shape)`, uint8; the first of them are used where
            all would take long.

    Raises:
        InputError: If no chain follows from the data: it is constant, or has too many features.
    """
    features = train[0].numel()
    if features > _MOST_FEATURES:
        raise InputError(
            f"data.id: found {features} features; allowed for a prediction: {_MOST_FEATURES}"
        )
    rows = train[: max(2, _MOST_VALUES // features)].flatten(1).numpy() / 255
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
        effective_directions=float(values.sum() ** 2 / np.square(values).sum()),
        directions_90=int(np.searchsorted(shares, 0.9)) + 1,
        noise=chain.noise,
        kappa=chain.kappa,
        eigenvalues=chain.eigenvalues[: space.budget],
        layer_counts=tuple(
            _predict_layers(chain, space, layers, config.study.seed)
            for layers in space.layer_counts
        ),
    )


def write_prediction(prediction: StudyPrediction, folder: Path) -> Path:
    """Write `theory.json` into a folder, and return its path."""
    path = folder / THEORY_NAME
    write_atomically(path, _ADAPTER.dump_json(prediction, indent=1))
    return path


def read_prediction(folder: Path) -> StudyPrediction | None:
    """The prediction of a run folder, or None where there is none.

    Raises:
        InputError: If `theory.json` cannot be read.
    """
    path = folder / THEORY_NAME
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise InputError(f"{path}: {problem}; remove the file, a run writes it anew") from None


def _predict_layers(
    chain: GaussianChain, space: SearchSpaceSection, layers: int, seed: int
) -> LayerCountPrediction:
    candidates, size = _candidates(space, layers, seed)
    prediction = predict(chain, candidates)
    members = _listed(prediction, front(prediction))
    family = predict(chain, _ratio_family(space, _curve_lattice(space, layers), _CURVE_RATIOS))
    curve = _listed(family, range(len(family.dims)))
    return LayerCountPrediction(
        layers=layers,
        size=size,
        compared=len(candidates),
        optimum=_listed(prediction, [optimum(prediction)])[0],
        knee=_knee(members),
        front=members,
        curve=tuple(sorted(curve, key=lambda item: item.ratio)),
    )


def _candidates(
    space: SearchSpaceSection, layers: int, seed: int
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
    shared = [allocation.dims for allocation in _shared_equally(lattice)]
    return np.unique([*family.tolist(), *shared, *sample], axis=0), lattice.size


def _shared_equally(lattice: Lattice) -> Iterator[Allocation]:
    """Layer 1 of many widths, the rest shared equally: the best of the chain without caps."""
    most = lattice.max_units[0]
    for units in np.unique(np.linspace(lattice.min_units, most, _WIDTHS).astype(int)):
        bottom = int(units) * lattice.step
        caps = lattice.max_dim and lattice.max_dim[1:]
        try:
            above = Lattice(
                lattice.budget - bottom, lattice.layers - 1, lattice.step, lattice.min_dim, caps
            )
        except ValueError:
            # The caps above cannot hold the rest.
            continue
        yield Allocation((bottom, *Allocation.from_ratio(1.0, above).dims))


def _curve_lattice(space: SearchSpaceSection, layers: int) -> Lattice:
    return Lattice(space.budget, layers) if space.kind == "table" else space.lattices()[layers]


def _ratio_family(space: SearchSpaceSection, lattice: Lattice, n: int) -> NDArray[np.int64]:
    """The different allocations `(m, L)` at n ratios of the range of the space."""
    low, high = space.ratio_range
    ratios = np.geomspace(low, high, n).clip(low, high)
    return np.unique([Allocation.from_ratio(float(r), lattice).dims for r in ratios], axis=0)


def _listed(prediction: Prediction, rows: Iterable[int]) -> tuple[PredictedAllocation, ...]:
    listed = []
    for row in rows:
        allocation = Allocation(tuple(int(d) for d in prediction.dims[row]))
        retention, attenuation = prediction.retention[row], prediction.attenuation[row]
        listed.append(
            PredictedAllocation(
                str(allocation), allocation.ratio, float(retention), float(attenuation)
            )
        )
    return tuple(listed)


def _knee(members: Sequence[PredictedAllocation]) -> PredictedAllocation:
    """The member nearest to the best value of both, each scaled to its range over the front."""
    costs = np.array([(-member.retention, member.attenuation) for member in members])
    spread = np.ptp(costs, axis=0)
    scaled = (costs - costs.min(0)) / np.where(spread > 0, spread, 1)
    return members[int(np.linalg.norm(scaled, axis=1).argmin())]
