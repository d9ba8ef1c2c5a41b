"""Rate of one training step of the convolutional model against its convolutions alone.

The model is that of `studies/fashion_mnist_conv.toml`. "convolutions" are those of one step,
forwards and backwards, in its layouts; "all products" are these with the pointwise ones and the
linear layers. Times are processor times of this process: other load of the machine does not
count, though what it takes of caches and memory does, so all of them alternate.

Run: python benchmarks/convolutions.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from math import prod
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, TrainingSection, load
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.training.loop import train

_STUDY = Path(__file__).parents[1] / "studies" / "fashion_mnist_conv.toml"
_SHAPE = (28, 28)

Layer = nn.Conv2d | nn.Linear
Call = tuple[Layer, Tensor, Tensor]


def calls(model: HVAE, batch: int) -> list[Call]:
    """Each convolution and linear layer of one step, with an input and a gradient as it meets."""
    found: list[Call] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        x = torch.cat(inputs, -1) if len(inputs) > 1 else inputs[0]
        # The gradient by x itself is not needed.
        x = torch.empty_strided(x.shape, x.stride()).normal_().requires_grad_(x.requires_grad)
        if isinstance(layer, nn.Conv2d):
            gradient = torch.empty_strided(output.shape, output.stride()).normal_()
        else:
            gradient = torch.randn(*x.shape[:-1], layer.weight.shape[0])
        found.append((layer, x, gradient))

    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(note) for layer in layers]
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 256, (batch, *_SHAPE), generator=generator).to(torch.uint8)
    model(model.likelihood.prepare(values, generator), model.draw_noise(batch, generator))
    for handle in handles:
        handle.remove()
    # The block's second convolution is one product with its sum, which no hook sees.
    for block in model.modules():
        if getattr(block, "shortcut", False) is True:
            passed = next(gradient for layer, _, gradient in found if layer is block.convolution)
            size = passed.movedim(-3, -1).shape
            found.append((block.pointwise, torch.randn(size).requires_grad_(), torch.randn(size)))
    return found


def once(call: Call) -> None:
    """Forwards and backwards."""
    layer, x, gradient = call
    of = [*layer.parameters(), *([x] if x.requires_grad else [])]
    if isinstance(layer, nn.Conv2d):
        output = layer(x)
    else:
        output = nn.functional.linear(x, layer.weight, layer.bias)
    torch.autograd.grad(output, of, gradient)


def flops(call: Call) -> int:
    """Floating point operations of the products of one call, forwards and backwards."""
    layer, x, gradient = call
    positions = prod(gradient.shape) // layer.weight.shape[0]
    return 2 * positions * layer.weight.numel() * (3 if x.requires_grad else 2)


def timed(run: Callable[[], object]) -> float:
    """Seconds of this process."""
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    """Alternate steps, convolutions and one matrix product."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--allocation", default="1568-16-8")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    section: ModelSection = load(_STUDY).model
    training = TrainingSection(epochs=1, batch_size=arguments.batch)
    model = build_model(Allocation.parse(arguments.allocation), _SHAPE, section, 0)
    generator = torch.Generator().manual_seed(0)
    n = arguments.batch * arguments.steps
    values = torch.randint(0, 256, (n, *_SHAPE), generator=generator).to(torch.uint8)
    work = calls(model, arguments.batch)
    spatial = [call for call in work if isinstance(call[0], nn.Conv2d)]
    square = torch.randn(784, 784)

    def alone(chosen: list[Call]) -> None:
        for _ in range(arguments.steps):
            for call in chosen:
                once(call)

    train(model, values, training, 0)
    times = [
        (
            timed(lambda: train(model, values, training, 1)) / arguments.steps,
            timed(lambda: alone(work)) / arguments.steps,
            timed(lambda: alone(spatial)) / arguments.steps,
            timed(lambda: torch.mm(square, square)),
        )
        for _ in range(arguments.rounds)
    ]
    step, products, convolutions, matrix = (median(column) for column in zip(*times, strict=True))
    best = min(row[0] for row in times)
    total, of_spatial = sum(map(flops, work)), sum(map(flops, spatial))
    print(f"allocation {arguments.allocation}, batch {arguments.batch}, torch {torch.__version__}")
    print(
        f"step          {step * 1e3:.1f} ms, {arguments.batch / step:.0f} images/s "
        f"(best round {arguments.batch / best:.0f})"
    )
    print(f"all products  {products * 1e3:.1f} ms, {total / products / 1e9:.1f} GFLOP/s")
    print(
        f"convolutions  {convolutions * 1e3:.1f} ms, {of_spatial / convolutions / 1e9:.1f} GFLOP/s"
    )
    print(f"matrix        {2 * 784**3 / matrix / 1e9:.1f} GFLOP/s")
    shares = [sorted(row[i] / row[0] for row in times) for i in (1, 2)]
    for name, share in zip(("all products", "convolutions"), shares, strict=True):
        low, high = share[len(share) // 4], share[3 * len(share) // 4]
        print(f"share of {name} {median(share):.3f} (quartiles {low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
