"""A training program for studies/command.toml: it stands for one of your own, in any language.

A chain of principal components with noise between its layers: every layer keeps the first d_l
components of the layer below. The wider the bottom, the better the reconstruction; the wider the
top, the more of x arrives there.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

NOISE = 0.05


def main() -> None:
    """Train the allocation of the command line, report, and write the metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dims", type=json.loads, required=True, help="[d_1, ..., d_L]")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True, help="file of metrics to write")
    parser.add_argument("--reports", type=Path, required=True, help="file of reports to append to")
    arguments = parser.parse_args()
    generator = np.random.default_rng(arguments.seed)
    x = load_digits().data / 16
    x = x - x.mean(0)
    train, validation = x[:1200], x[1200:]

    components: list[np.ndarray] = []
    for d in arguments.dims:
        components.append(_fit(_encode(train, components, generator), d))
        progress = len(components) / len(arguments.dims)
        with arguments.reports.open("a") as reports:
            metrics = _measure(validation, components, generator)
            reports.write(json.dumps({"progress": progress, "metrics": metrics}) + "\n")

    # A file that is renamed is never found half written.
    unfinished = arguments.out.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(_measure(validation, components, generator)))
    os.replace(unfinished, arguments.out)


def _fit(below: np.ndarray, d: int) -> np.ndarray:
    """The first d principal components of `(n, features)`, as `(features, d)`."""
    return np.linalg.svd(below, full_matrices=False)[2][:d].T


def _encode(
    x: np.ndarray, components: list[np.ndarray], generator: np.random.Generator
) -> np.ndarray:
    for each in components:
        x = x @ each
        x = x + NOISE * generator.standard_normal(x.shape)
    return x


def _measure(
    x: np.ndarray, components: list[np.ndarray], generator: np.random.Generator
) -> dict[str, float]:
    def error(layers: list[np.ndarray]) -> float:
        decoded = _encode(x, layers, generator)
        for each in reversed(layers):
            decoded = decoded @ each.T
        return float(np.square(x - decoded).mean() / np.square(x).mean())

    return {"error": error(components[:1]), "top_error": error(components)}


if __name__ == "__main__":
    main()
