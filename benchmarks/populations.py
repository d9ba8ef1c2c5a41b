"""Candidates per second of a population against one after the other.

The candidates are allocations of 88 dims, drawn uniformly; the training is a few steps of the
dense model on random images. A population and as many single trainings alternate. On a CPU times
are processor times of this process. Prints a Markdown table.

Run: python benchmarks/populations.py
"""

from __future__ import annotations

import argparse
import random
from statistics import median

import torch
from training import clock, examples

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config import ModelSection, TrainingSection
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.training.device import device_of
from allocsearch.training.loop import train
from allocsearch.training.population import train_population


def candidates(k: int) -> list[Allocation]:
    """K allocations of 88 dims in 3 layers."""
    lattice = Lattice(88, 3, 1, 2)
    ranks = random.Random(0).sample(range(lattice.size), k)
    return [lattice[rank] for rank in ranks]


def seconds(k: int, training: TrainingSection, steps: int, *, together: bool) -> float:
    """Time of one step of all K candidates."""
    device = device_of(training)
    shape = (28, 28)
    models: list[HVAE] = [
        build_model(allocation, shape, ModelSection(), i)
        for i, allocation in enumerate(candidates(k))
    ]
    values = examples(training.batch_size * steps)
    marks: list[float] = []

    def on_step() -> None:
        # The first step warms up; building and masking the models is not the training.
        if len(marks) < 2:
            marks.append(clock(device))

    total = 0.0
    if together:
        train_population(models, values, [training] * k, range(k), on_step=on_step)
        return (clock(device) - marks[1]) / (steps - 1)
    for i, model in enumerate(models):
        marks.clear()
        train(model, values, training, i, on_step=on_step)
        total += (clock(device) - marks[1]) / (steps - 1)
    return total


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device", default="cpu", choices=("auto", "cpu", "cuda"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    training = TrainingSection(epochs=1, batch_seed=0, device=arguments.device)
    print("| K | one after the other, ms per candidate and step | together | ratio (range) |")
    print("|---|---|---|---|")
    for k in arguments.sizes:
        singles, joint = [], []
        for _ in range(arguments.rounds):
            singles.append(seconds(k, training, arguments.steps, together=False) / k)
            joint.append(seconds(k, training, arguments.steps, together=True) / k)
        ratios = sorted(a / b for a, b in zip(singles, joint, strict=True))
        print(
            f"| {k} | {median(singles) * 1e3:.2f} | {median(joint) * 1e3:.2f} | "
            f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
