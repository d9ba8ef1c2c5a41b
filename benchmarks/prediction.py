"""How well the Gaussian channel chain ranks trained allocations of FashionMNIST.

Reads the table that benchmarks/fashion_mnist.py makes, predicts its allocations from the data
alone, and after a fit to the other allocations (leave one out; one half for the other), and prints
rank correlations with the measured means over the seeds as a Markdown table: for a chain whose top
layer is like the others, and for one whose top layer loses what it receives where it is wide. The
models of another program (tables/prototype.csv) are a check that nothing was fitted to.

Run: python benchmarks/prediction.py
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from allocsearch.allocation import Allocation
from allocsearch.config import load
from allocsearch.data.splits import load_search_data
from allocsearch.report.agreement import rank_agreement
from allocsearch.search.predictor import predict_study
from allocsearch.theory import GaussianChain, Measured, fit_chain, predict

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "benchmarks" / "tables" / "fashion_mnist.csv"
OTHERS = ROOT / "benchmarks" / "tables" / "prototype.csv"
METRICS = ("retention", "attenuation")
Predicted = NDArray[np.float64]


def means(rows: pd.DataFrame) -> list[Measured]:
    """Retention and attenuation of each allocation, in the mean over its seeds."""
    table = rows.groupby("allocation", sort=False)[list(METRICS)].mean()
    return [Measured(Allocation.parse(str(text)), *values) for text, *values in table.itertuples()]


def predicted(chain: GaussianChain, measured: Sequence[Measured]) -> Predicted:
    """Predicted retention and attenuation, `(m, 2)`."""
    found = predict(chain, [item.allocation.dims for item in measured])
    return np.column_stack((found.retention, found.attenuation))


def fitted(start: GaussianChain, measured: Sequence[Measured]) -> GaussianChain:
    """The chain of the same spectrum and directions that fits trained allocations best."""
    return fit_chain(start.eigenvalues, measured, start.directions)


def leave_one_out(start: GaussianChain, measured: Sequence[Measured]) -> Predicted:
    """Each allocation predicted by the chain that is fitted to all others, `(m, 2)`."""
    rows = []
    for i, item in enumerate(measured):
        chain = fitted(start, [*measured[:i], *measured[i + 1 :]])
        rows.append(predicted(chain, [item])[0])
    return np.array(rows)


def halves(start: GaussianChain, measured: Sequence[Measured], splits: int) -> Predicted:
    """Kendall's tau on one half after a fit to the other, `(splits, 2)`."""
    rng = np.random.default_rng(0)
    taus = []
    for _ in range(splits):
        order = rng.permutation(len(measured))
        trained, judged = np.array_split(order, 2)
        chain = fitted(start, [measured[i] for i in trained])
        rest = [measured[i] for i in judged]
        found = predicted(chain, rest)
        agreements = [rank_agreement(found[:, k], values(rest, k)) for k in range(2)]
        taus.append([np.nan if a is None else a.tau for a in agreements])
    return np.array(taus)


def values(measured: Sequence[Measured], metric: int) -> list[float]:
    """The measured values of one metric."""
    return [(item.retention, item.attenuation)[metric] for item in measured]


def row(name: str, found: Predicted, measured: Sequence[Measured]) -> str:
    """One line of the table: tau with its interval and the mean absolute error of each metric."""
    cells = []
    for k in range(2):
        truth = values(measured, k)
        agreement = rank_agreement(found[:, k], truth)
        error = np.abs(found[:, k] - truth).mean()
        tau = (
            "not enough"
            if agreement is None
            else f"{agreement.tau:.2f} ({agreement.low:.2f} to {agreement.high:.2f})"
        )
        cells += [tau, f"{error:.2f}"]
    return f"| {name} | " + " | ".join(cells) + " |"


def seed_ceiling(rows: pd.DataFrame) -> str:
    """Rank correlation of two seeds of full training: no prediction can be expected above it."""
    wide = rows.pivot_table(index="allocation", columns="seed", values=list(METRICS)).dropna()
    texts = []
    for metric in METRICS:
        pair = wide[metric].to_numpy()
        agreement = rank_agreement(pair[:, 0], pair[:, 1]) if pair.shape[1] > 1 else None
        texts.append(f"{metric} " + ("unknown" if agreement is None else f"{agreement.tau:.2f}"))
    return "Two seeds against each other: " + ", ".join(texts) + "."


def rows_of(
    name: str,
    start: GaussianChain,
    measured: Sequence[Measured],
    others: Sequence[Measured],
    splits: int,
) -> Iterator[str]:
    """The lines of one kind of chain."""
    chain = fitted(start, measured)
    yield row(f"{name}, from the data alone", predicted(start, measured), measured)
    yield row(f"{name}, fitted to all", predicted(chain, measured), measured)
    yield row(f"{name}, fitted, leave one out", leave_one_out(start, measured), measured)
    taus = halves(start, measured, splits)
    if not np.isnan(taus).any():
        low, middle, high = np.quantile(taus, (0.025, 0.5, 0.975), axis=0)
        spans = [f"{middle[k]:.2f} ({low[k]:.2f} to {high[k]:.2f})" for k in range(2)]
        yield f"| {name}, fitted on a half, {len(taus)} splits | {spans[0]} | | {spans[1]} | |"
    yield row(f"{name}, from the data alone, other program", predicted(start, others), others)
    yield row(f"{name}, fitted to all, other program", predicted(chain, others), others)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--others", type=Path, default=OTHERS)
    parser.add_argument("--study", type=Path, default=ROOT / "studies" / "fashion_mnist.toml")
    parser.add_argument("--splits", type=int, default=50)
    arguments = parser.parse_args()
    rows = pd.read_csv(arguments.table)
    measured, others = means(rows), means(pd.read_csv(arguments.others))
    config = load(arguments.study, ["data.ood_validation=[]", "study.objectives=['max:elbo']"])
    chain = predict_study(config, load_search_data(config.data).train.values).chain
    kinds = {"uniform gain": replace(chain, directions=math.inf), "wide top": chain}
    print(f"{len(measured)} allocations, {len(rows)} trainings. {seed_ceiling(rows)}")
    for name, start in kinds.items():
        best = fitted(start, measured)
        for text, which in (("from the data", start), ("fitted to all", best)):
            print(
                f"{name}, {text}: sigma^2 {which.noise:.4f}, kappa {which.kappa:.3f}, "
                f"gamma {which.gamma:.3f}, k {which.directions:.2f}"
            )
    print("\n| chain | retention tau | error (nats) | attenuation tau | error |")
    print("|---|---|---|---|---|")
    for name, start in kinds.items():
        for line in rows_of(name, start, measured, others, arguments.splits):
            print(line)
    alone, left_out = predicted(chain, measured), leave_one_out(chain, measured)
    print("\n| allocation | retention | predicted | fitted | attenuation | predicted | fitted |")
    print("|---|---|---|---|---|---|---|")
    for i, item in enumerate(measured):
        cells = [
            f"{value:.2f}"
            for k, truth in enumerate((item.retention, item.attenuation))
            for value in (truth, alone[i, k], left_out[i, k])
        ]
        print(f"| {item.allocation} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
