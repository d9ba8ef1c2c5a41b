"""Rate of one training step against the core's own matrix-product rate for the same products.

Times are processor times of this process: other load of the machine does not count, though what
it takes of caches and memory does.

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
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.training.loop import train

_FEATURES = 784


def layers(model: HVAE) -> list[tuple[nn.Linear, bool]]:
    """The linear layers, and whether the gradient by their input is needed (not by x)."""
    modules = dict(model.named_modules())
    return [
        (layer, name != "encoder.0.0")
        for name, layer in modules.items()
        if isinstance(layer, nn.Linear)
    ]


def products(model: HVAE, batch: int) -> Callable[[], None]:
    """A function that does the matrix products of one step, in its layouts, and nothing else."""
    work: list[tuple[Tensor, Tensor, Tensor, bool]] = []
    for layer, by_input in layers(model):
        n, k = layer.weight.shape
        work.append(
            (torch.randn(batch, k), layer.weight.detach(), torch.randn(batch, n), by_input)
        )

    def run() -> None:
        for x, weight, gradient, by_input in work:
            torch.mm(x, weight.t())
            torch.mm(gradient.t(), x)
            if by_input:
                torch.mm(gradient, weight)

    return run


def product_flops(model: HVAE, batch: int) -> int:
    """Floating point operations of the matrix products of one step."""
    return sum(2 * batch * layer.weight.numel() * (2 + more) for layer, more in layers(model))


def main() -> None:
    """Alternate steps and products, so that other load of the machine meets both alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--allocation", default="64-18-6")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=50)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    section = TrainingSection(epochs=1, batch_size=arguments.batch)
    model = build_model(Allocation.parse(arguments.allocation), (_FEATURES,), ModelSection(), 0)
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(
        0, 256, (arguments.batch * arguments.steps, _FEATURES), generator=generator
    ).to(torch.uint8)
    run = products(model, arguments.batch)
    flops = product_flops(model, arguments.batch)

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
