"""How well the Gaussian channel chain ranks trained allocations of FashionMNIST.

Reads the table that benchmarks/fashion_mnist.py makes, predicts its allocations from the data
alone, and after a fit to the other allocations (leave one out; one half for the other), and prints
rank correlations with the measured means over the seeds as a Markdown table.

Run: python benchmarks/prediction.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
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


def leave_one_out(spectrum: Sequence[float], measured: Sequence[Measured]) -> Predicted:
    """Each allocation predicted by the chain that is fitted to all others, `(m, 2)`."""
    rows = []
    for i, item in enumerate(measured):
        chain = fit_chain(spectrum, [*measured[:i], *measured[i + 1 :]])
        rows.append(predicted(chain, [item])[0])
    return np.array(rows)


def halves(spectrum: Sequence[float], measured: Sequence[Measured], splits: int) -> Predicted:
    """Kendall's tau on one half after a fit to the other, `(splits, 2)`."""
    rng = np.random.default_rng(0)
    taus = []
    for _ in range(splits):
        order = rng.permutation(len(measured))
        fitted, judged = np.array_split(order, 2)
        chain = fit_chain(spectrum, [measured[i] for i in fitted])
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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--study", type=Path, default=ROOT / "studies" / "fashion_mnist.toml")
    parser.add_argument("--splits", type=int, default=50)
    arguments = parser.parse_args()
    rows = pd.read_csv(arguments.table)
    measured = means(rows)
    config = load(arguments.study, ["data.ood_validation=[]", "study.objectives=['max:elbo']"])
    prediction = predict_study(config, load_search_data(config.data).train.values)
    chain, spectrum = prediction.chain, prediction.eigenvalues
    fitted = fit_chain(spectrum, measured)
    print(f"{len(measured)} allocations, {len(rows)} trainings. {seed_ceiling(rows)}")
    print(f"From the data: sigma^2 {chain.noise:.4f}, kappa {chain.kappa:.3f}.")
    print(f"Fitted to all: sigma^2 {fitted.noise:.4f}, kappa {fitted.kappa:.3f}.\n")
    print("| chain | retention tau | error (nats) | attenuation tau | error |")
    print("|---|---|---|---|---|")
    alone, left_out = predicted(chain, measured), leave_one_out(spectrum, measured)
    print(row("from the data alone", alone, measured))
    print(row("fitted, leave one out", left_out, measured))
    taus = halves(spectrum, measured, arguments.splits)
    if not np.isnan(taus).any():
        low, middle, high = np.quantile(taus, (0.025, 0.5, 0.975), axis=0)
        spans = [f"{middle[k]:.2f} ({low[k]:.2f} to {high[k]:.2f})" for k in range(2)]
        print(f"| fitted on a half, {len(taus)} splits | {spans[0]} | | {spans[1]} | |")
    print()
    print("| allocation | retention | predicted | fitted | attenuation | predicted | fitted |")
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
