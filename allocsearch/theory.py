"""The Gaussian channel chain: information, r* and the front of a budget without any training.

Along the principal axes of the data, with eigenvalues lambda_1 >= lambda_2 >= ... of the
covariance, layer 1 is a channel of noise variance sigma^2 for the d_1 first directions,

    rho_{i,1}^2 = lambda_i / (lambda_i + sigma^2),    rho_{i,l+1}^2 = kappa_{l+1} rho_{i,l}^2,

with kappa_l = kappa below the top, and less at a top layer of more dims than the k directions that
its signal has:

    kappa_L = kappa min(1, k / d_L)^gamma.

Layer l keeps the w_l = min(d_1, ..., d_l) first directions:

    I_l = -1/2 sum_{i <= w_l} log(1 - rho_{i,l}^2)    (nats).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocsearch.allocation import Allocation, Lattice

Array = NDArray[np.float64]

# Weight of log gamma beside the errors of a fit.
_GAMMA_PULL = 1e-3


@dataclass(frozen=True)
class GaussianChain:
    """A chain of Gaussian channels from x to z_1, ..., z_L.

    Args:
        eigenvalues: lambda of the data covariance, in falling order, 0 or more.
        noise: sigma^2, the noise variance of layer 1, positive.
        kappa: The share of rho^2 that a layer passes on to the next one, in (0, 1).
        directions: k, the effective directions of the signal, positive; infinity for a top layer
            that is like the others.
        gamma: How fast a top layer of more than k dims loses what it receives, 0 or more.

    Raises:
        ValueError: If one of these does not hold.
    """

    eigenvalues: tuple[float, ...]
    noise: float
    kappa: float
    directions: float = math.inf
    gamma: float = 1.0

    def __post_init__(self) -> None:
        values = tuple(float(value) for value in self.eigenvalues)
        if not values or not all(math.isfinite(value) and value >= 0 for value in values):
            raise ValueError("eigenvalues are finite and 0 or more, at least one of them")
        if any(above < below for above, below in pairwise(values)):
            raise ValueError("eigenvalues come in falling order")
        if not (self.noise > 0 and math.isfinite(self.noise)):
            raise ValueError(f"the noise variance is positive and finite, not {self.noise!r}")
        if not 0 < self.kappa < 1:
            raise ValueError(f"kappa lies between 0 and 1, not {self.kappa!r}")
        if not self.directions > 0:
            raise ValueError(f"the directions of the signal are positive, not {self.directions!r}")
        if not (self.gamma >= 0 and math.isfinite(self.gamma)):
            raise ValueError(f"gamma is finite and 0 or more, not {self.gamma!r}")
        object.__setattr__(self, "eigenvalues", values)

    @cached_property
    def correlations(self) -> Array:
        """rho_{i,1}^2 of every direction, `(p,)`."""
        values = np.asarray(self.eigenvalues)
        return values / (values + self.noise)

    def top_share(self, top: ArrayLike) -> Array:
        """min(1, k / d_L)^gamma of top layers of d_L dims, in the shape of `top`."""
        share: Array = np.minimum(1, self.directions / np.asarray(top)) ** self.gamma
        return share

    def information(self, dims: ArrayLike) -> Array:
        """I_l in every layer of many allocations at once.

        Args:
            dims: Allocations, bottom to top, `(m, L)`, or one, `(L,)`.

        Returns:
            Nats, of the shape of `dims`.

        Raises:
            ValueError: If a dim is not a positive integer.
        """
        array = np.asarray(dims)
        if array.ndim not in (1, 2) or array.size == 0 or array.dtype.kind not in "iu":
            raise ValueError("allocations are integers, (m, L) or (L,)")
        if (array < 1).any():
            raise ValueError(f"the dims of an allocation are 1 or more, not {array.min()}")
        widths = np.minimum(np.minimum.accumulate(array, -1), len(self.eigenvalues))
        correlations = self.correlations[: widths.max()]
        layers = array.shape[-1]
        # 1 - rho^2 of layer 1 by its own formula: the difference would lose small ones.
        bottom = self.noise / (np.asarray(self.eigenvalues[: widths.max()]) + self.noise)
        shares = self.kappa ** np.arange(1, layers - 1)
        lost = np.vstack((bottom, 1 - shares[:, None] * correlations))
        found = np.empty(array.shape)
        lower = slice(None, max(layers - 1, 1))
        table = _cumulative_information(lost)
        found[..., lower] = table[np.arange(len(table)), widths[..., lower]]
        if layers > 1:
            tops, which = np.unique(array[..., -1], return_inverse=True)
            shares = self.kappa ** (layers - 1) * self.top_share(tops)
            table = _cumulative_information(1 - shares[:, None] * correlations)
            found[..., -1] = table[which, widths[..., -1]]
        return found

    def conditional(self, allocation: Allocation, layer: int, below: Array) -> tuple[Array, Array]:
        """Mean and log variance of q(z_l given z_{l-1}), of q(z_1 given x) for layer 1.

        Dims that keep no direction are collapsed: standard normal, whatever lies below.

        Args:
            allocation: Its dims.
            layer: l, from 1 to L.
            below: z_{l-1}, `(..., d_{l-1})`; for layer 1 x in its principal axes, `(..., p)`.

        Returns:
            Each `(..., d_l)`.
        """
        d = allocation.dims[layer - 1]
        width = min(*allocation.dims[:layer], len(self.eigenvalues))
        mean, log_var = np.zeros((*below.shape[:-1], d)), np.zeros((*below.shape[:-1], d))
        if layer == 1:
            values = np.asarray(self.eigenvalues[:width])
            gain = 1 / np.sqrt(values + self.noise)
            log_var[..., :width] = np.log(self.noise / (values + self.noise))
        else:
            share = self.kappa
            if layer == allocation.layers:
                share *= float(self.top_share(d))
            gain = np.full(width, math.sqrt(share))
            log_var[..., :width] = math.log1p(-share)
        mean[..., :width] = gain * below[..., :width]
        return mean, log_var


@dataclass(frozen=True)
class Prediction:
    """What the chain predicts for allocations.

    Attributes:
        dims: Allocations, bottom to top, `(m, L)`.
        retention: I_1, nats, `(m,)`.
        attenuation: 1 - I_L / max_l I_l, `(m,)`; 1 where there is no information at all.
    """

    dims: NDArray[np.int64]
    retention: Array
    attenuation: Array


@dataclass(frozen=True)
class Measured:
    """Retention (nats) and attenuation of one trained allocation."""

    allocation: Allocation
    retention: float
    attenuation: float


@dataclass(frozen=True)
class LayerSample:
    """One layer of a sampled chain: q(z_l given z_{l-1}) and a draw from it.

    Attributes:
        mean: `(n, S, d_l)`.
        log_var: `(n, S, d_l)`.
        z: `(n, S, d_l)`; every dim has variance 1 over x.
    """

    mean: Array
    log_var: Array
    z: Array


@dataclass(frozen=True)
class ChainSample:
    """Draws of a chain.

    Attributes:
        x: The data in its principal axes, `(n, p)`.
        layers: Bottom to top.
    """

    x: Array
    layers: tuple[LayerSample, ...]


def covariance_eigenvalues(data: ArrayLike) -> tuple[float, ...]:
    """The eigenvalues of the covariance of data `(n, p)`, in falling order.

    Raises:
        ValueError: If the data is not finite or has fewer than 2 rows.
    """
    rows = _rows(data)
    values = np.linalg.eigvalsh(np.cov(rows, rowvar=False).reshape(rows.shape[1], -1))
    return tuple(np.maximum(values[::-1], 0).tolist())


def effective_directions(eigenvalues: ArrayLike) -> float:
    """The participation ratio (sum lambda)^2 / sum lambda^2 of a spectrum that is not all 0."""
    values = np.asarray(eigenvalues, dtype=np.float64)
    return float(values.sum() ** 2 / np.square(values).sum())


def chain_from_data(data: ArrayLike, budget: int) -> GaussianChain:
    """The chain of a data set, with all parameters from the data alone.

    sigma^2 is the variance per pixel that no latent can explain: the mean binarisation noise
    E x (1 - x), plus the mean of the eigenvalues after the first `budget` (the maximum likelihood
    noise of probabilistic PCA). The spectrum says nothing about the layers above; kappa is set
    to the share of the data's variance that layer 1 passes on, as if every layer were as noisy
    as the first. k is the participation ratio of the spectrum, and gamma is 1: a signal of k
    directions that is spread over d_L > k dims of variance 1 is the share k / d_L of each.

    Args:
        data: Pixels in [0, 1], `(n, p)`.
        budget: D.

    Raises:
        ValueError: If the data is constant, noiseless or outside [0, 1], or the budget below 1.

    Reference: Tipping and Bishop (1999), equation 8.
    """
    rows = _rows(data)
    if budget < 1:
        raise ValueError(f"a budget is 1 or more, not {budget}")
    if rows.min() < 0 or rows.max() > 1:
        raise ValueError(f"pixels lie in [0, 1], not [{rows.min():g}, {rows.max():g}]")
    eigenvalues = np.array(covariance_eigenvalues(rows))
    rest = eigenvalues[budget:]
    noise = float(np.mean(rows * (1 - rows))) + (float(rest.mean()) if rest.size else 0.0)
    constant = not np.ptp(rows, axis=0).any()
    if noise <= 0 or constant:
        what = "constant" if constant else "binary with no more pixels than the budget"
        raise ValueError(f"no chain follows from data that is {what}")
    kept = eigenvalues**2 / (eigenvalues + noise)
    kappa = float(kept.sum() / eigenvalues.sum())
    return GaussianChain(tuple(eigenvalues), noise, kappa, effective_directions(eigenvalues))


def fit_chain(
    eigenvalues: Sequence[float], measured: Sequence[Measured], directions: float | None = None
) -> GaussianChain:
    """The chain whose sigma^2, kappa and gamma fit trained allocations best.

    Least squares over log sigma^2, logit kappa and log gamma, of the errors of retention (relative
    to its mean) and of attenuation. Where the measured allocations say nothing of gamma it is 1.

    Args:
        eigenvalues: lambda, in falling order.
        measured: Trained allocations, two numbers each.
        directions: k; the participation ratio of the eigenvalues if None.

    Raises:
        ValueError: If there is none, none of 2 layers or more, or a value is impossible.
    """
    if not measured or all(item.allocation.layers < 2 for item in measured):
        raise ValueError("a fit takes a measured allocation of 2 layers or more")
    retention = np.array([item.retention for item in measured])
    attenuation = np.array([item.attenuation for item in measured])
    if not (np.isfinite(retention).all() and (retention >= 0).all() and retention.any()):
        raise ValueError(f"retention is finite and 0 or more, not {retention.tolist()}")
    if not ((attenuation >= 0) & (attenuation <= 1)).all():
        raise ValueError(f"attenuation lies in [0, 1], not {attenuation.tolist()}")
    positive = [value for value in eigenvalues if value > 0]
    if not positive:
        raise ValueError("a fit takes a positive eigenvalue")
    effective = effective_directions(positive) if directions is None else directions

    # Every worker imports this module, and only a fit needs it.
    from scipy.optimize import least_squares

    def chain(point: Array) -> GaussianChain:
        kappa = 1 / (1 + math.exp(-point[1]))
        return GaussianChain(
            tuple(eigenvalues), math.exp(point[0]), kappa, effective, math.exp(point[2])
        )

    def errors(point: Array) -> Array:
        candidate = chain(point)
        predicted = np.array(
            [retention_and_attenuation(candidate.information(m.allocation.dims)) for m in measured]
        )
        relative = (predicted[:, 0] - retention) / retention.mean()
        # Too weak to outweigh a measurement.
        pull = [_GAMMA_PULL * point[2]]
        return np.concatenate((relative, predicted[:, 1] - attenuation, pull))

    # The squares have flat ends and may have several dips: a start in every decade and half.
    center = math.log(positive[0])
    bounds = ([center - 30, -12.0, -5.0], [center + 30, 12.0, 3.0])
    fits = [
        least_squares(errors, (center - decades * math.log(10), logit, 0.0), bounds=bounds)
        for decades in (0, 2, 4)
        for logit in (-1.5, 1.5)
    ]
    return chain(min(fits, key=lambda fit: fit.cost).x)


def retention_and_attenuation(information: Array) -> tuple[Array, Array]:
    """I_1 (nats) and 1 - I_L / max_l I_l of information `(..., L)`, each `(...)`.

    Where no layer holds any information nothing reaches the top: attenuation 1.
    """
    most = information.max(-1)
    with np.errstate(invalid="ignore"):
        attenuation = np.where(most > 0, 1 - information[..., -1] / most, 1.0)
    return information[..., 0], attenuation


def lattice_dims(lattice: Lattice) -> NDArray[np.int64]:
    """All allocations of a lattice in its order, `(len(lattice), L)`."""
    prefixes = np.zeros((1, 0), dtype=np.int64)
    for layer in range(lattice.layers - 1):
        left, positions = np.unique(lattice.budget - prefixes.sum(1), return_inverse=True)
        choices = [np.array(lattice.choices(layer, rest)) for rest in left.tolist()]
        counts = np.array([len(dims) for dims in choices])[positions]
        column = np.concatenate([choices[position] for position in positions])
        prefixes = np.column_stack((np.repeat(prefixes, counts, 0), column))
    return np.column_stack((prefixes, lattice.budget - prefixes.sum(1)))


def predict(chain: GaussianChain, dims: ArrayLike) -> Prediction:
    """Retention and attenuation of allocations `(m, L)`.

    Raises:
        ValueError: If a dim is not a positive integer.
    """
    array = np.atleast_2d(np.asarray(dims))
    return Prediction(array, *retention_and_attenuation(chain.information(array)))


def scalarised(prediction: Prediction, weight: float = 0.5) -> Array:
    """The value of every allocation under retention * (1 - attenuation)^weight, `(m,)`.

    In the chain retention * (1 - attenuation) is I_L, so that a weight of 1 asks for the
    information of the top layer alone, and a weight of 0 for that of layer 1 alone; one half
    is their geometric mean.

    Raises:
        ValueError: If `weight` is negative or not finite.
    """
    if not (weight >= 0 and math.isfinite(weight)):
        raise ValueError(f"a weight is finite and 0 or more, not {weight!r}")
    value: Array = prediction.retention * (1 - prediction.attenuation) ** weight
    return value


def optimum(prediction: Prediction, weight: float = 0.5) -> int:
    """The row with the largest `scalarised` value.

    Of those that tie (to 1e-12) the one with the most retention, then with the widest lower
    layers.

    Raises:
        ValueError: If `weight` is negative or not finite.
    """
    values = scalarised(prediction, weight)
    best = np.flatnonzero(values >= values.max() * (1 - 1e-12))
    most = prediction.retention[best]
    widest = best[most >= most.max() * (1 - 1e-12)]
    return int(widest[np.lexsort(prediction.dims[widest].T[::-1])[-1]])


def front(prediction: Prediction) -> NDArray[np.int64]:
    """The rows of the Pareto front: most retention, least attenuation.

    Of allocations that tie in both, the one with the widest lower layers stands for all.

    Returns:
        `(f,)`, in falling order of retention.
    """
    # Rounded, so that equal sums in another order are equal.
    retention = np.round(prediction.retention, 10)
    attenuation = np.round(prediction.attenuation, 10)
    order = np.lexsort((*-prediction.dims.T[::-1], attenuation, -retention))
    least = np.minimum.accumulate(attenuation[order])
    return order[np.concatenate(([True], attenuation[order][1:] < least[:-1]))]


def optimal_allocation(chain: GaussianChain, lattice: Lattice, weight: float = 0.5) -> Allocation:
    """The `optimum` of all allocations of a lattice; its ratio is r*.

    Raises:
        ValueError: If `weight` is negative or not finite.
    """
    prediction = predict(chain, lattice_dims(lattice))
    return _allocation(prediction.dims[optimum(prediction, weight)])


def predicted_front(chain: GaussianChain, lattice: Lattice) -> tuple[Allocation, ...]:
    """The `front` of all allocations of a lattice."""
    prediction = predict(chain, lattice_dims(lattice))
    return tuple(_allocation(prediction.dims[i]) for i in front(prediction))


def sample(
    chain: GaussianChain, allocation: Allocation, n: int, samples: int, seed: int
) -> ChainSample:
    """Draw x, and for each x S chains of latents; the ground truth is `chain.information`.

    Args:
        chain: The chain.
        allocation: Its dims.
        n: Number of examples.
        samples: S, draws of all latents per example.
        seed: Of NumPy's default generator.

    Raises:
        ValueError: If `n` or `samples` is below 1.
    """
    if n < 1 or samples < 1:
        raise ValueError(f"n and samples are 1 or more, not {n} and {samples}")
    rng = np.random.default_rng(seed)
    eigenvalues = np.asarray(chain.eigenvalues)
    x = np.sqrt(eigenvalues) * rng.standard_normal((n, len(eigenvalues)))
    below = np.broadcast_to(x[:, None], (n, samples, len(eigenvalues)))
    layers = []
    for layer in range(1, allocation.layers + 1):
        mean, log_var = chain.conditional(allocation, layer, below)
        below = mean + np.exp(0.5 * log_var) * rng.standard_normal(mean.shape)
        layers.append(LayerSample(mean, log_var, below))
    return ChainSample(x, tuple(layers))


def _cumulative_information(lost: Array) -> Array:
    """-1/2 sum_{i <= w} log(1 - rho_i^2) for w = 0, ..., p of 1 - rho^2 `(..., p)`, nats."""
    table = np.zeros((*lost.shape[:-1], lost.shape[-1] + 1))
    table[..., 1:] = np.cumsum(-0.5 * np.log(lost), -1)
    return table


def _rows(data: ArrayLike) -> Array:
    rows = np.asarray(data, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] < 1:
        raise ValueError(f"data is (n >= 2, p), not {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("data holds a value that is not finite")
    return rows


def _allocation(dims: NDArray[np.int64]) -> Allocation:
    return Allocation(tuple(int(d) for d in dims))
