"""Rate of one training step against the core's own matrix-product rate for the same products.

Run: python benchmarks/training.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, TrainingSection
from allocsearch.models.hvae import HVAE, build_model
from allocsearch.training.loop import train

_FEATURES = 784


def product_shapes(model: HVAE, batch: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The matrix products of one step: forward, weight gradient and input gradient per layer."""
    shapes = []
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear):
            n, k = layer.weight.shape
            shapes += [((batch, k), (k, n)), ((n, batch), (batch, k))]
            # The gradient by x is not needed.
            if name != "encoder.0.0":
                shapes.append(((batch, n), (n, k)))
    return shapes


def products(model: HVAE, batch: int) -> Callable[[], None]:
    """A function that does the matrix products of one step and nothing else."""
    pairs = [(torch.randn(a), torch.randn(b)) for a, b in product_shapes(model, batch)]
    outputs: list[Tensor] = [torch.empty(a.shape[0], b.shape[1]) for a, b in pairs]

    def run() -> None:
        for (a, b), out in zip(pairs, outputs, strict=True):
            torch.mm(a, b, out=out)

    return run


def main() -> None:
    """Alternate steps and products, so that other load of the machine meets both alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--allocation", default="64-18-6")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    section = TrainingSection(epochs=1, batch_size=arguments.batch)
    model = build_model(Allocation.parse(arguments.allocation), _FEATURES, ModelSection(), 0)
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(
        0, 256, (arguments.batch * arguments.steps, _FEATURES), generator=generator
    ).to(torch.uint8)
    run = products(model, arguments.batch)
    flops = sum(2 * a[0] * a[1] * b[1] for a, b in product_shapes(model, arguments.batch))

    step_times, product_times = [], []
    for seed in range(arguments.rounds):
        start = time.process_time()
        train(model, values, section, seed)
        middle = time.process_time()
        for _ in range(arguments.steps):
            run()
        end = time.process_time()
        step_times.append((middle - start) / arguments.steps)
        product_times.append((end - middle) / arguments.steps)
    shares = [p / s for p, s in zip(product_times, step_times, strict=True)]
    step, product = median(step_times), median(product_times)
    quartiles = sorted(shares)[len(shares) // 4], sorted(shares)[3 * len(shares) // 4]
    print(f"allocation {arguments.allocation}, batch {arguments.batch}, torch {torch.__version__}")
    print(f"step      {step * 1e3:.2f} ms, {arguments.batch / step:.0f} images/s")
    print(f"products  {product * 1e3:.2f} ms, {flops / product / 1e9:.1f} GFLOP/s")
    print(
        f"share     {median(shares):.3f} (quartiles {quartiles[0]:.3f} to {quartiles[1]:.3f}, "
        f"{len(shares)} rounds of {arguments.steps} steps)"
    )


if __name__ == "__main__":
    main()
