"""A table of a lattice that is too large to train: a regression on the trainings there are of it.

The trainings are those of benchmarks/hour.py: of studies/fashion_mnist.toml, whose lattice has
3,486 allocations. The regression is a Gaussian process over the logarithms of the dims, a length
scale for each layer, by maximum likelihood: another one than that of the sampler `lattice_gp`. Its
mean is taken for the truth, and the deviations of replicates from their means for the noise.

Run: python benchmarks/simulated.py
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

import moocore
import numpy as np
import pandas as pd
from lattices import TABLES, Table
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from allocsearch.allocation import Allocation
from allocsearch.search.sampling.losses import losses

FINE = Table("fashion_mnist.toml", ("data.ood_test=[]",))
SEEDS = 3
_FOLDS = 5


def trainings(folder: Path) -> pd.DataFrame:
    """The trainings: `allocation`, `seed` and the objectives."""
    return pd.read_csv(folder / "fashion_mnist_trainings.csv")


def inputs(allocations: Sequence[str]) -> NDArray[np.float64]:
    """Logarithms of the dims, `(n, layers)`."""
    return np.log([Allocation.parse(text).dims for text in allocations])


def regression(rows: pd.DataFrame, metric: str) -> GaussianProcessRegressor:
    """The regression of one metric."""
    points = inputs(rows["allocation"])
    lengths = [1.0] * points.shape[1]
    kernel = ConstantKernel(1.0, (1e-2, 1e3)) * Matern(lengths, (0.2, 30.0), nu=2.5)
    model = GaussianProcessRegressor(
        kernel + WhiteKernel(0.1, (1e-4, 2.0)),
        normalize_y=True,
        n_restarts_optimizer=4,
        random_state=0,
    )
    with warnings.catch_warnings():
        # A length scale at the end of its range: the metric does not depend on that layer.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(points, rows[metric])


def deviations(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """How far replicates are from the means of their allocations, of unit degrees of freedom."""
    groups = rows.groupby("allocation")[list(metrics)]
    counts = rows.groupby("allocation")["seed"].transform("size")
    apart = (rows[list(metrics)] - groups.transform("mean"))[counts > 1]
    return apart.mul(np.sqrt(counts / (counts - 1)), axis=0).dropna()


def table(folder: Path) -> pd.DataFrame:
    """Rows as of benchmarks/lattices.py: every allocation, `SEEDS` seeds, ends of trainings alone.

    The noise of the seeds of one allocation sums to zero, so that the means are the truth.
    """
    rows = trainings(folder)
    metrics = [each.metric for each in FINE.config().study.parsed_objectives]
    names = [str(allocation) for allocation in FINE.lattice]
    means = np.array([regression(rows, metric).predict(inputs(names)) for metric in metrics]).T
    covariance = np.cov(deviations(rows, metrics).T, bias=True)
    rng = np.random.default_rng(0)
    drawn = rng.multivariate_normal(np.zeros(len(metrics)), covariance, (len(names), SEEDS))
    noise = np.sqrt(SEEDS / (SEEDS - 1)) * (drawn - drawn.mean(axis=1, keepdims=True))
    found = pd.DataFrame((means[:, None] + noise).reshape(-1, len(metrics)), columns=metrics)
    found.insert(0, "seed", np.tile(np.arange(SEEDS), len(names)))
    found.insert(0, "allocation", np.repeat(names, SEEDS))
    # A measurement costs a tenth of a training, as in the other tables.
    epochs = FINE.config().training.epochs
    return found.assign(schedule="full", rung=1.0, epochs=epochs, seconds=10.0, measuring=1.0)


def main() -> None:
    """Print how well the regressions tell trainings of allocations they have not seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=TABLES)
    folder = parser.parse_args().tables
    rows = trainings(folder)
    objectives = FINE.config().study.parsed_objectives
    metrics = [each.metric for each in objectives]
    apart = deviations(rows, metrics)
    names = np.random.default_rng(0).permutation(rows["allocation"].unique())
    print(f"{len(rows)} trainings of {len(names)} allocations")
    print("| metric | squared error, share of the variance | residual | replicates | lengths |")
    print("|---|---|---|---|---|")
    for metric in metrics:
        errors = []
        for fold in range(_FOLDS):
            left_out = rows["allocation"].isin(names[fold::_FOLDS])
            model = regression(rows[~left_out], metric)
            found = model.predict(inputs(rows["allocation"][left_out]))
            errors.append((found - rows[metric][left_out]) ** 2)
        share = np.concatenate(errors).mean() / rows[metric].var()
        kernel = regression(rows, metric).kernel_
        residual = np.sqrt(kernel.k2.noise_level) * rows[metric].std()
        lengths = ", ".join(f"{length:.2g}" for length in kernel.k1.k2.length_scale)
        spread = np.sqrt((apart[metric] ** 2).mean())
        print(f"| {metric} | {share:.2f} | {residual:.3g} | {spread:.3g} | {lengths} |")
    means = table(folder).groupby("allocation")[metrics].mean()
    found = losses(means.to_numpy(), objectives)
    front = moocore.is_nondominated(found, keep_weakly=True)
    print(f"{len(found)} allocations, {front.sum()} on the front")


if __name__ == "__main__":
    main()
