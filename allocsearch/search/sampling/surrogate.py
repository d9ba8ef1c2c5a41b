"""A Gaussian-process regression of the objectives on allocations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allocsearch.allocation import Allocation

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor

Floats = NDArray[np.float64]

# What stands for the dims of a layer that others have: less than any layer can have.
_NO_LAYER = 0.5
# Hyper-parameters to weigh against each other; of them, those that posteriors are averaged over.
_CANDIDATES, _KEPT = 64, 6
_NEGLIGIBLE = 0.02
# Prior ranges, log-uniform: the length scale in standard deviations of the coordinates, the
# variances of the smooth part, of the residual and, where no replicate tells it, of the noise as
# shares of the variance of the values.
_LENGTH, _SMOOTH, _RESIDUAL, _NOISE = (0.5, 8.0), (0.05, 8.0), (0.02, 1.0), (0.01, 1.0)
# So short that every allocation has a residual of its own.
_OWN = 1e-4
_JITTER = 1e-8


def log_ratio_coordinates(allocations: Sequence[Allocation], layers: int) -> Floats:
    """Isometric log-ratio coordinates of the shares d_l / D.

    Distances in them are Aitchison's: they compare the ratios of dims, whatever the budget. A
    layer that an allocation lacks counts as half a dim, so the number of layers is part of it.

    Args:
        allocations: n allocations.
        layers: The largest number of layers.

    Returns:
        `(n, layers - 1)`, or `(n, 1)` of zeros where there is one layer.

    Reference: Egozcue et al. (2003), "Isometric logratio transformations for compositional data
    analysis"; zeros replaced as by Martín-Fernández et al. (2003).
    """
    dims = np.full((len(allocations), layers), _NO_LAYER)
    for row, allocation in zip(dims, allocations, strict=True):
        row[: allocation.layers] = allocation.dims
    if layers == 1:
        return np.zeros((len(allocations), 1))
    logs = np.log(dims)
    below = np.cumsum(logs, axis=1)[:, :-1] / np.arange(1, layers)
    count = np.arange(1, layers)
    coordinates: Floats = np.sqrt(count / (count + 1)) * (below - logs[:, 1:])
    return coordinates


@dataclass(frozen=True, eq=False)
class Surrogate:
    """The posterior of each objective's true mean at any allocation.

    The mean of an allocation is a smooth function of its log-ratio coordinates plus a residual of
    its own, independent of all others.

    Attributes:
        trained: What it was fitted to.
        layers: Number of layers that coordinates are taken for.
        scale: Unit of the coordinates.
        center, unit: Of each objective's values, `(m,)`: regressions are of standardised ones.
        components: For each objective, regressions with fixed hyper-parameters, and their weights,
            which sum to 1.
    """

    trained: tuple[Allocation, ...]
    layers: int
    scale: float
    center: Floats
    unit: Floats
    components: tuple[tuple[tuple[float, GaussianProcessRegressor], ...], ...]

    def coordinates(self, allocations: Sequence[Allocation]) -> Floats:
        """Inputs of the regressions, `(n, q)`."""
        return log_ratio_coordinates(allocations, self.layers) / self.scale

    def posterior(self, allocations: Sequence[Allocation]) -> tuple[Floats, Floats]:
        """Mean `(n, m)` of the true means, and their covariance in each objective `(m, n, n)`.

        Objectives are independent.
        """
        points = self.coordinates(allocations)
        means, covariances = [], []
        for components, center, unit in zip(self.components, self.center, self.unit, strict=True):
            weights = np.array([weight for weight, _ in components])
            found = [model.predict(points, return_cov=True) for _, model in components]
            every = np.array([mean for mean, _ in found])
            mean = weights @ every
            between = (weights[:, None] * (every - mean)).T @ (every - mean)
            within = np.tensordot(weights, np.array([each for _, each in found]), 1)
            means.append(center + unit * mean)
            covariances.append(unit**2 * (within + between))
        return np.array(means).T, np.array(covariances)

    def draw(
        self,
        joint: Sequence[Allocation],
        single: Sequence[Allocation],
        draws: int,
        rng: np.random.Generator,
        correlation: Floats | None = None,
    ) -> tuple[Floats, Floats]:
        """Draws of the true means.

        Args:
            joint: Allocations whose means are drawn together, at least one.
            single: Allocations each of which is drawn with those, but not with each other. Where
                there are any, `joint` has all that were trained.
            draws: How many.
            rng: Source of the draws.
            correlation: Of the objectives' errors at one of `joint`, `(m, m)`; none by default.

        Returns:
            `(draws, len(joint), m)` and `(draws, len(single), m)`.

        Raises:
            ValueError: If `joint` lacks a trained allocation that `single` needs.
        """
        # Given the true means of all that was trained, the measurements tell nothing more.
        if single and not set(joint) >= set(self.trained):
            raise ValueError("single allocations are drawn with all trained ones")
        inner, outer = self.coordinates(joint), self.coordinates(single)
        m = len(self.components)
        drawn = np.empty((draws, len(joint), m))
        others = np.empty((draws, len(single), m))
        normal = rng.standard_normal((draws, len(joint), m))
        if correlation is not None:
            normal = normal @ _root(correlation)
        for j, components in enumerate(self.components):
            order = rng.permutation(draws)
            ends = np.floor(np.cumsum([w for w, _ in components]) * draws + rng.uniform())
            ends = np.append(ends[:-1], draws).astype(int)
            start = 0
            for end, (_, model) in zip(ends, components, strict=True):
                rows, start = order[start:end], max(start, end)
                if not len(rows):
                    continue
                mean, covariance = model.predict(inner, return_cov=True)
                root = _root(covariance)
                values = mean + normal[rows, :, j] @ root
                drawn[rows, :, j] = values
                if len(outer):
                    given = _regressor(model.kernel_, _JITTER).fit(inner, values.T)
                    means, deviations = given.predict(outer, return_std=True)
                    means = means.reshape(len(outer), len(rows))
                    deviations = deviations.reshape(len(outer), -1)[:, :1]
                    noise = rng.standard_normal(means.shape)
                    others[rows, :, j] = (means + deviations * noise).T
        return drawn * self.unit + self.center, others * self.unit + self.center


def _root(covariance: Floats) -> Floats:
    """The symmetric root, which keeps what is drawn for one allocation with that allocation."""
    values, vectors = np.linalg.eigh(covariance)
    root: Floats = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root


def fit_surrogate(
    allocations: Sequence[Allocation],
    means: Floats,
    counts: NDArray[np.int64],
    variances: Floats | None,
    freedom: int = 0,
) -> Surrogate:
    """Regress measured means on allocations.

    Hyper-parameters (length scale, variances of the smooth part, the residual and the noise) are
    averaged over: 64 of them from a Sobol sequence over their prior ranges are weighted by their
    marginal likelihood, and the best six kept. So few values never fix what they do not tell.

    Args:
        allocations: n different allocations, at least one.
        means: Mean of each objective over the trainings of each, `(n, m)`, finite.
        counts: Trainings of each, `(n,)`.
        variances: Of one training about the mean of its allocation for each objective, `(m,)`;
            None if unknown: then it is a hyper-parameter, too.
        freedom: Degrees of freedom of `variances`.
    """
    layers = max(allocation.layers for allocation in allocations)
    raw = log_ratio_coordinates(allocations, layers)
    scale = float(np.sqrt(raw.var(axis=0).mean())) or 1.0
    center, unit = means.mean(axis=0), means.std(axis=0)
    unit = np.where(unit > 0, unit, 1.0)
    known = None if variances is None else variances / unit**2
    components = tuple(
        _components(
            raw / scale,
            (means[:, j] - center[j]) / unit[j],
            counts,
            None if known is None else (float(known[j]), freedom),
        )
        for j in range(means.shape[1])
    )
    return Surrogate(tuple(allocations), layers, scale, center, unit, components)


def _components(
    points: Floats, values: Floats, counts: NDArray[np.int64], noise: tuple[float, int] | None
) -> tuple[tuple[float, GaussianProcessRegressor], ...]:
    """Regressions by fixed hyper-parameters with weights, the best first."""
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

    # Among different allocations the residual is white, which is quicker.
    kernel = ConstantKernel() * Matern(nu=2.5) + WhiteKernel()
    weighed = _regressor(kernel, 1.0).fit(points, values)
    parameters = _hyper_parameters(noise)
    likelihoods = []
    for length, smooth, residual, variance in parameters:
        weighed.alpha = variance / counts + _JITTER
        theta = np.log([smooth, length, residual])
        likelihoods.append(weighed.log_marginal_likelihood(theta, clone_kernel=False))
    best = np.argsort(likelihoods)[::-1][:_KEPT]
    weights = np.exp(np.array(likelihoods)[best] - likelihoods[best[0]])
    weights /= weights.sum()
    kept = []
    for weight, (length, smooth, residual, variance) in zip(
        weights, parameters[best], strict=True
    ):
        if weight < _NEGLIGIBLE:
            continue
        kernel = ConstantKernel(smooth) * Matern(length, nu=2.5)
        kernel += ConstantKernel(residual) * RBF(_OWN)
        model = _regressor(kernel, variance / counts + _JITTER)
        kept.append((float(weight), model.fit(points, values)))
    total = sum(weight for weight, _ in kept)
    return tuple((weight / total, model) for weight, model in kept)


def _hyper_parameters(noise: tuple[float, int] | None) -> Floats:
    """Length scales and variances of smooth part, residual and noise, `(64, 4)`."""
    from scipy.special import chdtri

    unit = _sobol()
    low, high = np.log([_LENGTH, _SMOOTH, _RESIDUAL, _NOISE]).T
    parameters: Floats = np.exp(low + unit * (high - low))
    if noise is not None:
        variance, freedom = noise
        # The posterior of a variance; its far tail would be no more than an unknown one.
        factor = (freedom / chdtri(freedom, unit[:, 3])).clip(0.1, 10.0)
        parameters[:, 3] = variance * factor
    return parameters


@cache
def _sobol() -> Floats:
    from scipy.stats import qmc

    points: Floats = qmc.Sobol(4, rng=0).random(_CANDIDATES)
    return points


def _regressor(kernel: object, noise: object) -> GaussianProcessRegressor:
    from sklearn.gaussian_process import GaussianProcessRegressor

    return GaussianProcessRegressor(kernel, alpha=noise, optimizer=None, copy_X_train=False)
