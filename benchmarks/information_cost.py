"""What the information brackets of a model cost, in epochs of its training.

Processor times of this process, so that other load of the machine does not count, though what it
takes of caches and memory does. The brackets are those that `measure` computes for a trial.

Run: python benchmarks/information_cost.py
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, TrainingSection
from allocsearch.metrics.brackets import information_brackets
from allocsearch.metrics.layers import draw_layers
from allocsearch.models.build import build_model
from allocsearch.training.loop import train

_FEATURES = 784


def ratios(allocation: Allocation, n: int, samples: int, images: int, rounds: int) -> list[float]:
    """Time of the brackets of `n` examples over that of an epoch of `images`, of each round."""
    generator = torch.Generator().manual_seed(0)
    # Few different images, so that one epoch is enough for latents that hold information.
    kinds = torch.randint(0, 256, (20, _FEATURES), generator=generator)
    values = kinds[torch.randint(0, 20, (images,), generator=generator)].to(torch.uint8)
    model = build_model(allocation, (_FEATURES,), ModelSection(), 0)
    found = []
    for seed in range(rounds):
        start = time.process_time()
        train(model, values, TrainingSection(epochs=1, batch_size=128), seed)
        epoch = time.process_time() - start
        model.eval()
        x, layers = draw_layers(model, values[:n], samples, batch_size=500, seed=1)
        start = time.process_time()
        rate = torch.full((n,), 1e6)
        information_brackets(model, x, layers, rate, seed=0)
        found.append((time.process_time() - start) / epoch)
    return found


def main() -> None:
    """Print the ratio of each allocation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--allocations", nargs="+", default=["64-18-6", "29-30-29"])
    parser.add_argument("--n", type=int, default=5000)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for text in options.allocations:
        found = ratios(
            Allocation.parse(text), options.n, options.samples, options.images, options.rounds
        )
        print(
            f"{text}: {median(found):.2f} epochs of {options.images} images "
            f"({min(found):.2f} to {max(found):.2f}, {options.rounds} rounds; "
            f"N = {options.n}, S = {options.samples})"
        )


if __name__ == "__main__":
    main()
